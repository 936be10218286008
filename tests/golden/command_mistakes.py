"""Mistakes of whoever runs a command: each function makes one, in an empty working folder."""

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import CliRunner

import pefc
from pefc.cli.app import app

from ..models import llama

FUSED = "task a { adapter on ffn }\ntask b { adapter on ffn }\nfuse(a, b) on ffn"
DATA = """
from tests.models import llama as model, words

def one_batch():
    return {"input_ids": words()}
"""
MOODY = """
from torch import nn

class Moody(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        return self.a(x) if x.sum() > 0 else self.b(x)
"""
CONFIG = Path(__file__).parent / "plan" / "model" / "config.json"


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


def output_is_an_adapter() -> None:
    spec_and_model()
    pefc.save(pefc.apply("lora(r=2) on attn.q", llama()), "trained")
    command("compile", "train.peft", "model", "-o", "trained")


def output_is_no_page() -> None:
    spec_and_model()
    command("graph", "train.peft", "model", "--html", "train.peft")


def needs_weights() -> None:
    spec_and_model()
    command("verify", "train.peft", "model")


def untouched_site() -> None:
    spec_and_model()
    command("graph", "train.peft", "model", "--site", "model.layers.0.self_attn.k_proj")


def untouched_layer() -> None:
    spec_and_model("lora(r=2) on attn.q in layers 1..2\n")
    command("graph", "train.peft", "model", "--layer", "3")


def unknown_train_key() -> None:
    spec_and_model()
    command("plan", "train.peft", "model", "--train", "bacth=4,epochs=3")


def unfit_train_value() -> None:
    spec_and_model()
    command("plan", "train.peft", "model", "--train", "batch=four,len=8,len=9,dtype=f32,padding=no")


def not_estimated() -> None:
    Path("train.peft").write_text("lora(r=2) on :Linear\n")
    Path("my_moods.py").write_text(MOODY)
    command("plan", "train.peft", "my_moods:Moody", "--train", "batch=4")


def model_not_found() -> None:
    command("roles", "./no-such-folder")


def model_without_config() -> None:
    Path("model").mkdir()
    command("roles", "model")


def unknown_architecture() -> None:
    Path("config.json").write_text('{"model_type": "llama", "architectures": ["MyLlama"]}')
    command("roles", ".")


def unnamed_architecture() -> None:
    config = json.loads(CONFIG.read_text())
    del config["architectures"]
    Path("model").mkdir()
    Path("model/config.json").write_text(json.dumps(config))
    pefc.base("lora on attn.q", "model")


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


def pruned(data: str) -> None:
    """Prunes a fused adapter of the model that `my_data:model` makes."""
    pefc.save(pefc.apply(FUSED, llama()), "fused")
    Path("my_data.py").write_text(DATA)
    command("prune", "fused", "my_data:model", "--data", data, "--keep", "2", "-o", "out")


def not_batches() -> None:
    pruned("my_data:one_batch")


def data_not_found() -> None:
    pruned("my_data:bathces")


COMMAND_MISTAKES: tuple[Callable[[], None], ...] = (
    unknown_entry,
    only_specs,
    unwritable_file,
    output_is_an_adapter,
    output_is_no_page,
    needs_weights,
    untouched_site,
    untouched_layer,
    unknown_train_key,
    unfit_train_value,
    not_estimated,
    model_not_found,
    model_without_config,
    unknown_architecture,
    unnamed_architecture,
    function_not_found,
    function_not_in_module,
    not_model,
    failing_function,
    faulty_config,
    model_is_a_file,
    not_batches,
    data_not_found,
)
