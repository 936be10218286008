"""Mistakes with models that several processes train."""

from dataclasses import dataclass

from .report import Diagnostic, Label


@dataclass(frozen=True, slots=True)
class ModelInProcesses(Diagnostic):
    """A spec is applied to a model that is wrapped or spread over processes already, or something
    else is asked of it that changes what the model has.

        model = DistributedDataParallel(model)
        pefc.apply("lora on attn.q", model)

    New tensors would be in no process but this one: nobody would gather them or average their
    gradients. Apply or load first, then call `DistributedDataParallel`, `fully_shard`,
    `accelerator.prepare` or `deepspeed.initialize`. To merge or prune what was trained, save it and
    load it into the base in one process. With ZeRO-3 of DeepSpeed, `from_pretrained` shares a model
    out at once where `TrainingArguments(deepspeed=…)` were made before: make them after `apply`.
    """

    model: str
    doing: str

    def title(self) -> str:
        return f"`pefc.{self.doing}` of a {self.model} that several processes train already"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "it is wrapped, or its tensors are in parts"),)

    def help(self) -> str:
        if self.doing in ("apply", "load"):
            return f"call `pefc.{self.doing}` before what wraps the model or shares it out"
        return "save the adapter, and load it into the base in one process"


@dataclass(frozen=True, slots=True)
class FlattenedModel(Diagnostic):
    """A model is given that `FullyShardedDataParallel`, the older FSDP, is around.

        model = FullyShardedDataParallel(pefc.apply("lora on attn.q", model))
        pefc.save(model, "out")

    It puts the tensors of a model into one, end to end, and gives each process a piece of that:
    where an adapter begins nobody can tell. `fully_shard` cuts tensor by tensor; with it a model
    trains, and is saved by all processes together. So it is with `fsdp_version=2` in the plugin of
    Accelerate.
    """

    model: str

    def title(self) -> str:
        return f"`FullyShardedDataParallel` is around this {self.model}, or around a part of it"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "its tensors are pieces of larger ones"),)

    def help(self) -> str:
        return "call `pefc.apply`, then `fully_shard` in its place"


@dataclass(frozen=True, slots=True)
class UnheardGradients(Diagnostic):
    """Ranks are to be allocated, and DeepSpeed trains the model with ZeRO.

        pefc.apply("adalora on linear", model)
        deepspeed.initialize(model=model, optimizer=…, config=…)

    Its optimizer steps copies of the tensors, cut and strung together, so that nobody who knows the
    tensors sees their gradients: no rank would ever go. Train with `DistributedDataParallel` or
    `fully_shard`, or attach `lora`.
    """

    def title(self) -> str:
        return "under ZeRO of DeepSpeed no ranks are allocated"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "an optimizer has stepped that trains copies of the tensors"),)

    def help(self) -> str:
        return "train with `DistributedDataParallel` or `fully_shard`, or attach `lora`"


@dataclass(frozen=True, slots=True)
class TermsAway(Diagnostic):
    """`pefc.regularizer` is called for a model that ZeRO-3 of DeepSpeed has shared out.

        loss = cross_entropy(engine(ids).logits, labels) + pefc.regularizer(engine)

    The tensors of the terms are here only while the model runs, so no gradient would come back to
    them. The loss that the model returns while it trains has the terms in it: give it `labels`.
    """

    model: str

    def title(self) -> str:
        return f"the `loss +=` terms of this {self.model} cannot be worked out after its call"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "ZeRO-3 has shared the tensors out"),)

    def help(self) -> str:
        return "train with the loss that the model returns, which has the terms in it"


@dataclass(frozen=True, slots=True)
class ValuesAway(Diagnostic):
    """A Trainer writes a checkpoint of a model in parts, and has not put its tensors together.

        {"zero_optimization": {"stage": 3}}

    One process writes, and has parts alone. Let DeepSpeed gather the tensors when it saves:
    `"stage3_gather_16bit_weights_on_model_save": true` beside the stage. With `fully_shard`, let
    Accelerate do so, `FullyShardedDataParallelPlugin(fsdp_version=2,
    state_dict_type="FULL_STATE_DICT")`.
    """

    model: str
    by_engine: bool
    """It is DeepSpeed that has the parts."""

    def title(self) -> str:
        return f"the process that writes this {self.model} has only parts of it"

    def labels(self) -> tuple[Label, ...]:
        who = "ZeRO-3" if self.by_engine else "`fully_shard`"
        return (Label(None, f"{who} has shared the tensors out, and they were not gathered"),)

    def help(self) -> str:
        if not self.by_engine:
            return 'give Accelerate\'s plugin `state_dict_type="FULL_STATE_DICT"`'
        return 'set `"stage3_gather_16bit_weights_on_model_save": true` in `zero_optimization`'
