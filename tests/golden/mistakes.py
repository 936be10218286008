"""Mistakes that no spec makes alone: each function makes one, in an empty working folder."""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from typer.testing import CliRunner

import pefc
from pefc.cli.app import app

from ..models import Plain, llama, pair, perturb, plain

CONFIG = Path(__file__).parent / "plan" / "model" / "config.json"


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


class RefusedError(Exception):
    """A command has ended with diagnostics on stderr."""


def command(*words: str) -> None:
    """Run a command of pefc; raises RefusedError with what it shows."""
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 1, (result.stdout, result.exception)
    raise RefusedError(result.stderr)


def spec_and_model(text: str = "lora(r=2) on attn.q\n") -> None:
    """`train.peft`, and the folder `model` that holds a configuration alone."""
    Path("train.peft").write_text(text)
    Path("model").mkdir()
    Path("model/config.json").write_bytes(CONFIG.read_bytes())


def unknown_entry() -> None:
    command("explain", "unmached-selector")


def only_specs() -> None:
    Path("train.yaml").write_text("peft: lora on attn.q\n")
    command("fmt", "train.yaml#peft")


def unwritable_file() -> None:
    spec_and_model()
    command("graph", "train.peft", "model", "--html", "missing/page.html")


def needs_weights() -> None:
    spec_and_model()
    command("verify", "train.peft", "model")


def untouched_site() -> None:
    spec_and_model()
    command("graph", "train.peft", "model", "--site", "model.layers.0.self_attn.k_proj")


def untouched_layer() -> None:
    spec_and_model("lora(r=2) on attn.q in layers 1..2\n")
    command("graph", "train.peft", "model", "--layer", "3")


def model_not_found() -> None:
    command("roles", "./no-such-folder")


def model_without_config() -> None:
    Path("model").mkdir()
    command("roles", "model")


def unknown_architecture() -> None:
    Path("config.json").write_text('{"model_type": "llama", "architectures": ["MyLlama"]}')
    command("roles", ".")


def function_not_found() -> None:
    command("roles", "my_project.models:tiny")


def function_not_in_module() -> None:
    Path("my_models.py").write_text("def tiny(): ...\n")
    command("roles", "my_models:tine")


def not_model() -> None:
    Path("my_numbers.py").write_text("def seven():\n    return 7\n")
    command("roles", "my_numbers:seven")


def model_is_a_file() -> None:
    Path("config.json").write_text("{}")
    command("roles", "config.json")


def faulty_config() -> None:
    Path("model").mkdir()
    Path("model/config.json").write_text('{"model_type": "llama", "hidden_size": 30}')
    command("roles", "model")


def failing_function() -> None:
    Path("my_failures.py").write_text("def tiny():\n    return {}['layers']\n")
    command("roles", "my_failures:tiny")


MISTAKES: tuple[Callable[[], None], ...] = (
    already_attached,
    nothing_attached,
    nothing_to_remove,
    forward_replaced,
    not_traced,
    never_called,
    not_affine,
    no_bias_to_merge,
    lossy_merge,
    not_finite,
    tied_merge,
    no_values,
    no_adapter,
    damaged_adapter,
    other_format,
    other_method,
    other_base,
    other_architecture,
    other_sites,
    unknown_entry,
    only_specs,
    unwritable_file,
    needs_weights,
    untouched_site,
    untouched_layer,
    model_not_found,
    model_without_config,
    unknown_architecture,
    function_not_found,
    function_not_in_module,
    not_model,
    failing_function,
    faulty_config,
    model_is_a_file,
)
