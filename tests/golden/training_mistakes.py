"""Mistakes, and choices that are made, when a model trains: each function makes one."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from torch import distributed
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.nn.parallel import DistributedDataParallel
from transformers import PreTrainedModel

import pefc
from pefc.compiler.state.trainer_checkpoint import write_checkpoint
from pefc.runtime.training.progress import STEPS

from ..models import llama, words
from ..training.trained import trainer

TIGHT = """\
method tight(r: int = 2) on linear {
  A: [r, in] ~ kaiming(sqrt(5))
  B: [out, r] = 0
  weight += B @ A
  loss += norm(A @ A.T - eye(r))
}
tight on attn.q
"""


def missing_terms() -> None:
    model = pefc.apply(TIGHT, llama()).train()
    for _ in range(2):
        logits = model(words()).logits
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), words().flatten()).backward()


def ignored_rates() -> None:
    text = "lora(r=2) on attn.q with lr.B=16x, decay=0.1\ntune on norm with lr=0.5x\n"
    model = pefc.apply(pefc.parse(text, name="train.peft"), llama()).train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    model(words(), labels=words()).loss.backward()
    optimizer.step()


def trained_in_vain() -> None:
    text = "lora(r=2) on attn.q, attn.v\ntune on norm\nia3 on ffn.down"
    model = pefc.apply(pefc.parse(text, name="train.peft"), llama()).train()
    for layer in model.model.layers:
        layer.self_attn.v_proj.register_forward_hook(lambda *call: call[-1].detach())
    rest = [p for n, p in model.named_parameters() if p.requires_grad and "ia3" not in n]
    optimizer = torch.optim.AdamW(rest, lr=1e-3)
    for _ in range(STEPS):
        model(words(), labels=words()).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def head_passed_by() -> None:
    model = pefc.apply("lora(r=2) on head", llama()).train()
    model.forward = lambda ids: model.model(ids).last_hidden_state @ model.lm_head.weight.T
    model(words())


def another_spec() -> None:
    spec = "lora(r=4) on attn.q with lr=2x\n"
    pefc.optimizer(pefc.apply("lora(r=8) on attn.q; tune on norm", llama()), spec)


def another_spec_order() -> None:
    model = pefc.apply("lora(r=8) on attn.q; ia3 on attn.q", llama())
    pefc.optimizer(model, "ia3 on attn.q; lora(r=8) on attn.q")


def other_checkpoint() -> None:
    _resumed("lora(r=4, alpha=64) on attn.q\n", llama())


def other_checkpoint_base() -> None:
    other = llama()
    torch.nn.init.normal_(other.get_parameter("model.layers.1.mlp.up_proj.weight"))
    _resumed(WRITTEN, other)


def _resumed(spec: str, model: PreTrainedModel) -> None:
    """A checkpoint of a Trainer, read into another model."""
    with TemporaryDirectory() as folder:
        trainer(pefc.apply(WRITTEN, llama()), Path(folder)).save_model(folder)
        pefc.apply(spec, model).load_state_dict(load_file(Path(folder) / "model.safetensors"))


WRITTEN = "lora(r=4) on attn.q\n"


def unnamed_training() -> None:
    model = pefc.apply("lora(r=2) on attn.q", llama())
    model.get_parameter("model.norm.weight").requires_grad_()
    model.get_parameter("model.layers.0.mlp.up_proj.weight").requires_grad_()
    with TemporaryDirectory() as folder:
        pefc.save(model, folder)


def nothing_trains() -> None:
    pefc.optimizer(pefc.apply("lora on attn.q", llama()).requires_grad_(requires_grad=False))


def unknown_optimizer() -> None:
    pefc.optimizer(pefc.apply("lora on attn.q", llama()), lr=0.1, kind="adam8bit")


def unknown_optimizer_family() -> None:
    pefc.optimizer(pefc.apply("lora on attn.q", llama()), lr=0.1, kind="sophia")


def no_bitsandbytes() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "bitsandbytes.optim", None)
        pefc.optimizer(pefc.apply("lora on attn.q", llama()), lr=0.1, kind="paged_adamw")


def not_paged() -> None:
    pefc.optimizer(pefc.apply("lora on attn.q", llama()), lr=0.1, kind="paged_adamw8bit")


def model_in_processes() -> None:
    with gloo():
        pefc.apply("lora on attn.q", DistributedDataParallel(llama()))


def merge_in_processes() -> None:
    with gloo():
        pefc.merge(DistributedDataParallel(pefc.apply("lora on attn.q", llama())))


def flattened_model() -> None:
    model = pefc.apply("lora on attn.q", llama())
    with gloo():
        pefc.save(flattened(model), "out")


def unheard_gradients() -> None:
    model = pefc.apply("adalora(r=4, target=2, steps=4) on attn.q", llama())
    share_out(model)
    step = torch.nn.Parameter(torch.ones(1))
    step.grad = torch.ones(1)
    torch.optim.SGD([step], lr=0.1).step()


def terms_away() -> None:
    model = pefc.apply(TIGHT, llama())
    share_out(model)
    pefc.regularizer(model)


def values_away() -> None:
    model = pefc.apply("lora on attn.q", llama())
    share_out(model)
    write_checkpoint(model, Path("checkpoint"), {})


def share_out(model: torch.nn.Module) -> None:
    """As ZeRO-3 marks parameters; `tests/processes/test_zero.py` has true ones."""
    for number, parameter in enumerate(model.parameters()):
        parameter.ds_id = number  # pyright: ignore[reportAttributeAccessIssue]
        parameter.ds_status = SimpleNamespace(name="NOT_AVAILABLE")  # pyright: ignore[reportAttributeAccessIssue]


def flattened(model: torch.nn.Module, *, original: bool = True) -> torch.nn.Module:
    """In the older FSDP, which says on a group of one that it shards nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return FullyShardedDataParallel(
            model, use_orig_params=original, device_id=torch.device("cpu")
        )


@contextmanager
def gloo() -> Iterator[None]:
    """A group of one process."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        yield
    finally:
        distributed.destroy_process_group()


TRAINING_MISTAKES: tuple[Callable[[], None], ...] = (
    missing_terms,
    ignored_rates,
    trained_in_vain,
    head_passed_by,
    other_checkpoint,
    other_checkpoint_base,
    unnamed_training,
    nothing_trains,
    another_spec,
    another_spec_order,
    unknown_optimizer,
    unknown_optimizer_family,
    no_bitsandbytes,
    not_paged,
    model_in_processes,
    merge_in_processes,
    flattened_model,
    unheard_gradients,
    terms_away,
    values_away,
)
