"""The functions that users call with a spec and a model. What they do lives in the compiler."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal, TypeVar

from torch import Tensor, nn
from torch.optim import AdamW

from . import compiler
from .compiler import Plan, Program
from .compiler.attached import is_attached
from .compiler.folds import TOLERATED, Wish
from .compiler.gates import GateValues
from .compiler.texts import tokenize_with
from .dsl.checked import Checked, Value
from .dsl.checker import check
from .dsl.parser import parse
from .dsl.source import Source
from .dsl.syntax import Spec
from .runtime.quantized import DTYPES

Model = TypeVar("Model", bound=nn.Module)
_NONE: Mapping[str, Value] = {}


def plan(
    spec: Spec | Checked | str, model: nn.Module, *, params: Mapping[str, Value] = _NONE
) -> Plan:
    """What a spec would do to a model, site by site; the model is untouched.

    Args:
        spec: a spec as `parse` or `read` gives it, or its text.
        model: any module; its weights are not read, so a model on the `meta` device will do.
        params: values for the `param`s of the spec.

    Raises:
        SpecError: with every mistake of the spec, and every selector term that matches nothing.
    """
    return compiler.plan(_checked(spec, params), model)


def base(
    spec: Spec | Checked | str,
    reference: str | Path,
    *,
    params: Mapping[str, Value] = _NONE,
    **options: object,
) -> nn.Module:
    """The model of a folder or hub id as a spec wants its base: what `quantize` names is quantized
    weight by weight as it is read, so that the model never is in memory in floating point.

    `pefc.apply` of the same spec then finds it so, and attaches the rest.

    Args:
        spec: a spec as `parse` or `read` gives it, or its text.
        reference: a folder of transformers, a hub id, or `package.module:function`.
        params: values for the `param`s of the spec.
        options: of `from_pretrained`, such as `dtype`.

    Raises:
        SpecError: with every mistake of the spec, and where the reference leads nowhere.
    """
    return compiler.base(str(reference), _checked(spec, params), **options)


def compile(
    spec: Spec | Checked | str,
    model: nn.Module,
    *,
    params: Mapping[str, Value] = _NONE,
    tokenizer: object = None,
) -> Program:
    """Plan and lower a spec: `.plan`, `.graph` (the rewritten `fx.GraphModule`), `.apply()`.

    Args:
        spec: a spec as `parse` or `read` gives it, or its text.
        model: any module.
        params: values for the `param`s of the spec.
        tokenizer: of transformers, or a function from a text to token ids; needed only where a
            tensor starts from a text, as in `prompt(init="…")`.

    Raises:
        SpecError: with every mistake; the model is untouched.
    """
    return compiler.compiled(_checked(spec, params), model, tokenize_with(tokenizer))


def apply(
    spec: Spec | Checked | str,
    model: Model,
    *,
    params: Mapping[str, Value] = _NONE,
    tokenizer: object = None,
) -> Model:
    """Attach a spec to a model, in place, and return the same object. All or nothing.

    Afterwards only what the spec names trains. New tensors take the dtype and device of the weight
    beside them and are children of its module: `lora on attn.q` gives `….q_proj.lora.A`.

    Args:
        spec: a spec as `parse` or `read` gives it, or its text.
        model: any module.
        params: values for the `param`s of the spec.
        tokenizer: as for `compile`.

    A model that carries a spec takes more tasks: a spec of nothing but `task NAME { … }` adds them
    beside what is there.

    Raises:
        SpecError: with every mistake; the model is then bit for bit and flag for flag as it was.
    """
    checked = _checked(spec, params, compiler.task_names(model))
    if is_attached(model) and compiler.is_of_tasks(checked):
        compiler.add(checked, model, tokenize_with(tokenizer))
    else:
        compile(checked, model, tokenizer=tokenizer).apply()
    return model


def save(
    model: nn.Module, folder: str | Path, *, resume: bool = False, task: str | None = None
) -> None:
    """Write the adapter alone: `spec.peft`, `plan.json`, `adapter.safetensors`.

    A crash leaves the old adapter or the new one.

    Args:
        model: a model with a spec applied.
        folder: where to; an adapter that is there is replaced.
        resume: keep the networks that compute prefixes and prompts, so that training can go on. By
            default what they compute is written in their place: it gives the same outputs.
        task: write this task alone.

    Raises:
        SpecError: nothing is attached to the model, or it has no such task.
    """
    compiler.save(model, Path(folder), resume=resume, task=task)


def load(model: Model, folder: str | Path, *, task: str | None = None) -> Model:
    """Apply a saved adapter to a model, in place, and return the same object. All or nothing.

    Args:
        model: a copy of the base that the adapter was made for.
        folder: what `save` wrote.
        task: load the adapter as a task of this name, beside what is there. Over a task of the
            same form only numbers change, so that nothing is compiled anew.

    Raises:
        SpecError: the folder is damaged, the base is another one, or a tensor is missing, extra or
            misshapen.
    """
    if task is None:
        compiler.load(model, Path(folder))
    else:
        compiler.load_task(model, Path(folder), task)
    return model


def set_task(model: Model, name: str | None) -> Model:
    """Let one task run for all rows of every batch; None for the base with what belongs to none.

    Raises:
        SpecError: the model has no such task.
    """
    compiler.set_task(model, name)
    return model


def tasks(model: nn.Module, names: Sequence[str | None]) -> AbstractContextManager[None]:
    """`with pefc.tasks(model, ["sst", "mnli", "sst"]): …` lets row i of every batch belong to task
    `names[i]`, in training, inference and `generate`.

    Raises:
        SpecError: the model has no such task. A batch with another number of rows is a ValueError
            when it comes.
    """
    return compiler.tasks(model, names)


def task_names(model: nn.Module) -> tuple[str, ...]:
    """The tasks of a model, in the order in which they came."""
    return compiler.task_names(model)


def merge(
    model: Model,
    *,
    keep_base: bool = False,
    loss: float = TOLERATED,
    into: Literal["bf16", "fp16", "fp32"] | None = None,
    requantize: bool = False,
) -> Model:
    """Fold everything attached into the base weights and leave no trace.

    Args:
        model: a model with a spec applied.
        keep_base: keep copies of what changes, so that `remove` restores the base exactly.
        loss: the largest share of an update, ‖kept − update‖ / ‖update‖, that may be lost to the
            weight's dtype.
        into: the dtype that the whole model takes; quantized weights become plain ones, the values
            that the model computes with and the updates.
        requantize: round sums into quantized weights, and warn of what that lost.

    Raises:
        SpecError: a method is not affine in x, a weight is tied, a bias is missing, too much would
            be lost, or a weight is quantized and neither `into` nor `requantize` is given; the
            model is then as it was.
        ValueError: `into` is no dtype that is known, or given with `keep_base`.
    """
    if into is not None and into not in DTYPES:
        raise ValueError(f"`into` is {into!r}: it is one of {', '.join(DTYPES)}")
    if into is not None and keep_base:
        raise ValueError("a model that takes another dtype cannot keep its base")
    dtype = None if into is None else DTYPES[into]
    compiler.merge(model, Wish(keep_base, loss, dtype, requantize))
    return model


def remove(model: Model, *, task: str | None = None) -> Model:
    """Take everything attached out again: weights bit for bit and `requires_grad` flag for flag as
    before. With `task`, take that one out; the others stay as they are.

    Raises:
        SpecError: nothing is attached, it was merged without `keep_base`, or there is no such task.
    """
    if task is None:
        compiler.remove(model)
    else:
        compiler.drop(model, task)
    return model


def optimizer(model: nn.Module, *, lr: float, decay: float = 0.0, **options: object) -> AdamW:
    """AdamW over what the spec trains, with the learning rates and decays of its `with` clauses.

    Args:
        model: a model with a spec applied.
        lr: the learning rate where the spec says nothing; `with lr=10x` multiplies it.
        decay: the weight decay where the spec says nothing.
        options: of `torch.optim.AdamW`.

    Raises:
        SpecError: nothing is attached to the model.
    """
    return AdamW(compiler.parameter_groups(model, lr=lr, decay=decay), **options)  # pyright: ignore[reportArgumentType]


def gates(model: nn.Module) -> GateValues:
    """What gates and fusions let through at the last call of a model, by the path of their tensors:
    [batch] for a gate, [batch, n, members] for the weights of a fusion. `print` plots it by layer.

    Raises:
        SpecError: nothing is attached to the model.
    """
    return compiler.gates(model)


def regularizer(model: nn.Module) -> Tensor:
    """The sum of the `loss +=` terms of everything attached: add it to the loss of a bare loop.

    Raises:
        SpecError: nothing is attached to the model.
    """
    return compiler.regularizer(model)


def prune(model: nn.Module, batches: Iterable[object], *, keep: int) -> dict[str, tuple[str, ...]]:
    """Keep, at each fusion of a model, the tasks that have most weight there.

    Args:
        model: a model with `fuse(…)` applied and trained.
        batches: what its forward takes: mappings of keywords, or single tensors.
        keep: how many tasks stay at each place, two or more.

    Returns:
        The tasks that stay, by the path of the place.

    Raises:
        SpecError: the model has no fusion, or `keep` is less than two.
    """
    return compiler.prune(model, batches, keep)


def _checked(
    spec: Spec | Checked | str, params: Mapping[str, Value], tasks: tuple[str, ...] = ()
) -> Checked:
    if isinstance(spec, Checked):
        return spec
    tree = parse(Source("<spec>", spec)) if isinstance(spec, str) else spec
    return check(tree, overrides=params, tasks=tasks)
