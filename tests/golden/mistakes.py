"""Mistakes that no spec makes alone: each function makes one, in an empty working folder."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import pefc
from pefc.compiler.state.save import save

from ..models import Plain, llama, pair, perturb, plain


def already_attached() -> None:
    model = pefc.apply("lora(r=2) on attn.q, attn.v", plain())
    pefc.apply("ia3 on attn.k", model)


def nothing_attached() -> None:
    pefc.save(plain(), "out")


def nothing_to_remove() -> None:
    model = pefc.merge(pefc.apply("lora(r=2) on attn.q", plain()))
    pefc.remove(model)


def forward_replaced() -> None:
    model = plain()
    model.a.forward = nn.Linear.forward.__get__(model.a)
    pefc.apply("lora(r=2) on attn.{q,v}", model)


class Doubled(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ (2 * self.weight.T)


def own_forward() -> None:
    model = llama()
    for layer in model.model.layers:
        layer.self_attn.q_proj.__class__ = Doubled
    pefc.apply("lora(r=2) on attn.q", model)


def inference_weights() -> None:
    with torch.inference_mode():
        model = plain()
    pefc.apply("lora(r=2) on attn.{q,v}", model)


class Branching(nn.Module):
    """Computes something else where the values are small, which no graph can say."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = pair()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.pair(x)
        return y if y.sum() > 0 else -y


def not_traced() -> None:
    _ = pefc.compile("lora(r=2) on map", Branching()).graph


class Idle(Plain):
    """Has a map that it never calls."""

    def __init__(self) -> None:
        super().__init__()
        self.idle = nn.Linear(24, 24)


def never_called() -> None:
    pefc.plan("lora(r=2) on idle", Idle())


def not_affine() -> None:
    definition = """\
method bent(r: int = 2) on linear {
  A: [r, in] ~ normal(0, 1)
  B: [out, r] = 0
  output += relu(x @ A.T) @ B.T
}
"""
    pefc.merge(pefc.apply(f"{definition}bent on attn.{{q,v}}", plain()))


def no_bias_to_merge() -> None:
    model = pefc.apply("beft on attn.q", Plain(bias=False))
    perturb(model)
    pefc.merge(model)


def lossy_merge() -> None:
    model = pefc.apply("lora(r=2) on attn.q", plain().to(torch.bfloat16))
    torch.manual_seed(0)
    perturb(model, scale=0.01)
    pefc.merge(model)


def not_finite() -> None:
    model = pefc.apply("lora(r=2) on attn.q", plain())
    with torch.no_grad():
        model.a.lora.B.fill_(float("nan"))
    pefc.merge(model)


def tied_merge() -> None:
    pefc.merge(pefc.apply("lora(r=2) on head", llama(tied=True)))


def dropped_merge() -> None:
    spec = "adapterdrop(0..2, eval=1) {\n  lora(r=2) on ffn.down\n}\n"
    pefc.merge(pefc.apply(pefc.parse(spec, name="train.peft"), llama()))


def no_tokenizer() -> None:
    spec = 'prompt(len=8, init="is this review good or bad?")\n'
    pefc.apply(pefc.parse(spec, name="train.peft"), llama())


def unfit_text() -> None:
    spec = 'prompt(len=8, init="")\n'
    pefc.apply(pefc.parse(spec, name="train.peft"), llama(), tokenizer=lambda _: [])


def unfit_token() -> None:
    spec = 'prompt(len=8, init="good")\n'
    pefc.apply(pefc.parse(spec, name="train.peft"), llama(), tokenizer=lambda _: [3, -1])


def unfit_tokenizer() -> None:
    spec = 'prompt(len=8, init="good film")\n'
    known = {"good": 3}
    read = pefc.parse(spec, name="train.peft")
    pefc.apply(read, llama(), tokenizer=lambda text: [known[word] for word in text.split()])


def unfit_ids() -> None:
    spec = 'prompt(len=8, init="good")\n'
    pefc.apply(pefc.parse(spec, name="train.peft"), llama(), tokenizer=lambda text: text)


def no_values() -> None:
    pefc.save(pefc.apply("lora(r=2) on attn.q", plain().to("meta")), "out")


def no_adapter() -> None:
    Path("out").mkdir()
    pefc.load(plain(), "out")


def saved(spec: str = "lora(r=2) on attn.{q,v}") -> Path:
    """A folder with an adapter of the plain model."""
    pefc.save(pefc.apply(spec, plain()), "out")
    return Path("out")


def damaged_adapter() -> None:
    spec = saved() / "spec.peft"
    spec.write_text(spec.read_text().replace("r=2", "r=4"))
    pefc.load(plain(), "out")


def altered(**entries: object) -> None:
    """Change what an adapter folder says of itself."""
    manifest = Path("out/plan.json")
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **entries}))


def other_format() -> None:
    saved()
    altered(format=2)
    pefc.load(plain(), "out")


def other_method() -> None:
    saved()
    altered(methods={"lora": "0" * 16})
    pefc.load(plain(), "out")


def other_base() -> None:
    saved()
    model = plain()
    with torch.no_grad():
        model.b.weight.mul_(1.1)
    model.wide, model.tall = nn.Linear(24, 48, bias=False), nn.Linear(48, 24)
    pefc.load(model, "out")


def on_other_base() -> None:
    saved()
    model = plain()
    with torch.no_grad():
        model.b.weight.mul_(1.1)
    model.wide = nn.Linear(24, 48, bias=False)
    warned(lambda: pefc.load(model, "out", other_base=True))


def not_finite_adapter() -> None:
    model = pefc.apply("lora(r=2) on attn.{q,v}", plain())
    with torch.no_grad():
        model.a.lora.A[0, 0] = float("nan")
    warned(lambda: pefc.save(model, "out"))


def damaged_manifest() -> None:
    saved()
    altered(base={"a.weight": {"shape": [24, -24], "samples": None}})
    pefc.load(plain(), "out")


def warned(act: Callable[[], object]) -> None:
    """Raise what is warned of."""
    with pytest.warns(pefc.SpecWarning) as caught:
        act()
    (found,) = caught
    raise found.message


def other_architecture() -> None:
    saved()
    pefc.load(pair(), "out")


class Turned(Plain):
    """The same tensors, read otherwise: `b` asks and `a` answers."""

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        x = self.e(input_ids)
        scores = self.b(x) @ self.a(x).transpose(-1, -2)
        return x + self.d(torch.softmax(scores, -1) @ self.c(x))


def other_sites() -> None:
    saved()
    model = Turned()
    model.load_state_dict(plain().state_dict())
    pefc.load(model, "out")


def unfinished_shrinking() -> None:
    model = pefc.apply("adalora(r=4, target=2, steps=1000, settle=100) on attn.{q,v}", llama())
    raise pefc.SpecError(save(model, Path("out"), resume=False, task=None))


MISTAKES: tuple[Callable[[], None], ...] = (
    already_attached,
    nothing_attached,
    nothing_to_remove,
    forward_replaced,
    own_forward,
    inference_weights,
    not_traced,
    never_called,
    not_affine,
    no_bias_to_merge,
    lossy_merge,
    not_finite,
    tied_merge,
    dropped_merge,
    no_tokenizer,
    unfit_text,
    unfit_token,
    unfit_tokenizer,
    unfit_ids,
    no_values,
    no_adapter,
    damaged_adapter,
    other_format,
    other_method,
    other_base,
    on_other_base,
    not_finite_adapter,
    damaged_manifest,
    other_architecture,
    other_sites,
    unfinished_shrinking,
)
