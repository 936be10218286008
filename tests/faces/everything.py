"""Everything that pefc does without quantizing, with no library but those that it declares.

A script, for a process of its own, in an empty folder. Its arguments are modules that must not be
imported; at the end it prints those of bitsandbytes that were.
"""

import json
import sys
from pathlib import Path

for blocked in sys.argv[1:]:
    sys.modules.setdefault(blocked, None)  # pyright: ignore[reportArgumentType]

import torch  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

import pefc  # noqa: E402
from pefc.cli.app import app  # noqa: E402

LORA = "lora(r=2) on attn.q"
TASKS = "task a { adapter(r=2) on ffn }\ntask b { adapter(r=2) on ffn }"
THREE = f"{TASKS}\ntask c {{ adapter(r=2) on ffn }}\nfuse(a, b, c) on ffn"
ADALORA = "adalora(r=4, target=2, steps=4) on attn.q"
WORDS = torch.arange(8)[None]

COMMANDS = (
    "check lora.peft",
    "fmt lora.peft",
    "explain lora",
    "methods",
    "schema",
    "roles base",
    "plan lora.peft base",
    "plan lora.peft base --train batch=2,len=8",
    "compile lora.peft base -o compiled",
    "combine saved compiled -o combined --how cat",
    "prune fused base --data my_data:batches --keep 2 -o pruned",
    "merge base saved -o merged",
    "graph lora.peft base --layer 0",
    "verify lora.peft base",
)


def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    return LlamaForCausalLM(config).eval()


def in_python() -> None:
    """Every public function once."""
    llama().save_pretrained("base")
    Path("lora.peft").write_text(f"{LORA}\n", encoding="utf-8")
    spec = pefc.read("lora.peft")
    pefc.check(pefc.parse(LORA))
    pefc.plan(spec, llama())
    pefc.trace(llama())
    pefc.compile(spec, llama()).graph(input_ids=WORDS, attention_mask=torch.ones_like(WORDS))
    model = pefc.apply(spec, pefc.base(spec, "base"))
    loss = model(input_ids=WORDS, labels=WORDS).loss + pefc.regularizer(model)
    loss.backward()
    pefc.optimizer(model).step()
    pefc.save(model, "saved")
    pefc.merge(pefc.load(llama(), "saved"))
    pefc.remove(model)
    pefc.combine(["saved", "saved"], "both", how="linear")
    pefc.ranks(pefc.apply(ADALORA, model))


def with_tasks() -> None:
    """Every public function that tasks have."""
    model = pefc.apply(TASKS, llama())
    with pefc.tasks(model, [pefc.task_names(model)[0]]):
        model(WORDS)
    pefc.set_task(model, "b")
    fused = pefc.apply(THREE, llama())
    fused(WORDS)
    pefc.gates(fused)
    pefc.save(fused, "fused")
    pefc.prune(fused, [WORDS], keep=2)


def in_commands() -> None:
    """Every command."""
    Path("my_data.py").write_text(
        "import torch\n\n\ndef batches():\n    yield torch.arange(8)[None]\n", encoding="utf-8"
    )
    known = {command.name or command.callback.__name__ for command in app.registered_commands}  # pyright: ignore[reportOptionalMemberAccess]
    assert {line.partition(" ")[0] for line in COMMANDS} == known
    for line in COMMANDS:
        result = CliRunner().invoke(app, line.split())
        assert result.exit_code == 0, f"{line}: {result.output}{result.exception!r}"


if __name__ == "__main__":
    in_python()
    with_tasks()
    in_commands()
    found = [name for name in sys.modules if name.partition(".")[0] == "bitsandbytes"]
    print(json.dumps([name for name in found if name not in sys.argv]))
