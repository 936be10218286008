import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import pefc

from .conftest import Run

Spec = Callable[..., str]

CONFIG = Path(__file__).parents[1] / "golden" / "plan" / "model"

MODELS = """
import torch
from transformers import LlamaConfig, LlamaForCausalLM

def llama(dtype=torch.float32):
    torch.manual_seed(3)
    return LlamaForCausalLM(LlamaConfig(**SIZES)).to(dtype)

def narrow():
    return llama(torch.bfloat16)
"""
SIZES = {
    "vocab_size": 64,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32,
    "initializer_range": 0.3,
}


@pytest.fixture
def model(run: Run, tmp_path: Path) -> Iterator[str]:
    """`tiny:llama`, and beside it `tiny:narrow`."""
    assert run
    (tmp_path / "tiny.py").write_text(f"SIZES = {SIZES}\n{MODELS}")
    path = list(sys.path)
    yield "tiny:llama"
    sys.path[:] = path
    sys.modules.pop("tiny", None)


def test_roles(run: Run, model: str) -> None:
    lines = run("roles", model).stdout.splitlines()
    assert lines[0] == "LlamaForCausalLM, 2 layers"
    (row,) = (line for line in lines if line.startswith("attn.q "))
    assert row.split() == [
        "attn.q",
        "linear",
        "2",
        "24",
        "→",
        "24",
        "model.layers.0..1.self_attn.q_proj",
    ]


@pytest.fixture
def unnamed(tmp_path: Path) -> str:
    """A folder whose config names no class."""
    config = json.loads((CONFIG / "config.json").read_text())
    del config["architectures"]
    (tmp_path / "unnamed").mkdir()
    (tmp_path / "unnamed" / "config.json").write_text(json.dumps(config))
    return "unnamed"


def test_the_class_of_a_config_without_architectures_is_announced(run: Run, unnamed: str) -> None:
    result = run("roles", unnamed)
    assert result.stdout.startswith("LlamaModel, 4 layers\n")
    assert result.stderr.startswith(
        "warning[unnamed-architecture]: `unnamed` is taken for a `LlamaM"
    )
    assert result.stderr.count("warning[") == 1
    assert '`"architectures": ["LlamaForCausalLM"]`' in result.stderr
    assert run("roles", str(CONFIG)).stderr == ""


def test_it_is_announced_as_json(run: Run, spec: Spec, unnamed: str) -> None:
    for text, status, codes in (
        ("lora on attn.q\n", 0, ["unnamed-architecture"]),
        ("lora on attn.qery\n", 1, ["unnamed-architecture", "unmatched-selector"]),
    ):
        result = run("plan", spec(text), unnamed, "--json")
        assert result.exit_code == status
        found = json.loads(result.stderr)["diagnostics"]
        assert [diagnostic["code"] for diagnostic in found] == codes
        assert found[0]["severity"] == "warning"


def test_roles_as_json(run: Run) -> None:
    sites = json.loads(run("roles", str(CONFIG), "--json").stdout)["sites"]
    assert {
        "path": "model.layers.3.self_attn.q_proj",
        "kind": "linear",
        "role": "attn.q",
        "slice": None,
        "layer": 3,
    } in sites


def test_plan_as_json(run: Run, spec: Spec) -> None:
    result = run(
        "plan", spec("param r = 2\nlora(r=r) on attn.q\n"), str(CONFIG), "--json", "--set", "r=4"
    )
    plan = json.loads(result.stdout)
    assert set(plan) == {
        "model",
        "trainable",
        "total",
        "quantized",
        "floating",
        "attachments",
        "terms",
    }
    assert plan["trainable"] == 4 * 4 * (24 + 24)
    assert plan["terms"] == [{"text": "attn.q", "matched": 4}]
    name = "model.layers.0.self_attn.q_proj.lora.A"
    assert plan["attachments"][0]["tensors"][name] == [4, 24]


def test_mistakes_of_json_commands_are_json(run: Run, spec: Spec) -> None:
    result = run("plan", spec("lora(r=2) on attn.qery\n"), str(CONFIG), "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    (found,) = json.loads(result.stderr)["diagnostics"]
    assert found["code"] == "unmatched-selector"


@pytest.mark.parametrize("columns", [80, 120])
def test_a_plan_fits_its_terminal(
    run: Run, spec: Spec, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    result = run("plan", spec("lora(r=2) on attn.{q,v}, ffn\nvera(r=2) on attn.o\n"), str(CONFIG))
    assert max(map(len, result.stdout.splitlines())) <= columns
    assert "model.layers.0..3.self_attn.q_proj" in result.stdout


@pytest.mark.parametrize("command", ["roles", "plan", "graph", "verify"])
def test_an_unknown_model_is_a_diagnostic(run: Run, spec: Spec, command: str) -> None:
    arguments = () if command == "roles" else (spec("lora on attn.q\n"),)
    result = run(command, *arguments, "no/such-model")
    assert result.exit_code == 1
    assert "error[" in result.stderr


def test_compile_writes_what_load_reads(run: Run, spec: Spec, model: str, tmp_path: Path) -> None:
    result = run("compile", spec("lora(r=2) on attn.q\n"), model, "-o", "out")
    assert result.stdout.startswith("out: 192 trained parameters, ")
    torch.manual_seed(3)
    base = LlamaForCausalLM(LlamaConfig(**SIZES))
    assert pefc.load(base, tmp_path / "out") is base
    assert base.get_parameter("model.layers.1.self_attn.q_proj.lora.B").shape == (24, 2)


@pytest.mark.parametrize("command", ["compile", "verify"])
def test_weights_are_asked_for(run: Run, spec: Spec, command: str) -> None:
    out = ("-o", "out") if command == "compile" else ()
    result = run(command, spec("lora(r=2) on attn.q\n"), str(CONFIG), *out)
    assert result.exit_code == 1
    assert "error[needs-weights]" in result.stderr


def test_graph(run: Run, spec: Spec) -> None:
    name = spec("lora(r=2, alpha=4) on attn.q\n")
    text = run("graph", name, str(CONFIG)).stdout
    before, formula, runs = (
        text.split("  before\n")[1]
        .replace("after, as it", "after, as the")
        .split("  after, as the")
    )
    assert "y  = linear(x, weight)" in before
    assert "lora.B" in formula
    assert "addmm" in runs


def test_graph_of_a_layer(run: Run, spec: Spec) -> None:
    """The graph around the site, out of the trace, and then the site."""
    name = spec("lora(r=2) on attn.q\n")
    text = run("graph", name, str(CONFIG), "--layer", "1").stdout
    around, site = text.split("\nmodel.layers.1.self_attn.q_proj ")
    before, after = around.split("  after\n")
    assert "sdpa(" in before
    assert "lora" not in before
    assert "q_proj.lora.A" in after
    assert "lora.A" in site


def test_graph_of_what_is_untouched(run: Run, spec: Spec) -> None:
    name = spec("lora(r=2) on attn.q in layers 1..2\n")
    missed = run("graph", name, str(CONFIG), "--site", "model.layers.1.self_attn.q_prj")
    assert missed.exit_code == 1
    assert "did you mean `model.layers.1.self_attn.q_proj`?" in missed.stderr
    missed = run("graph", name, str(CONFIG), "--layer", "3")
    assert missed.exit_code == 1
    assert "it reaches layers 1..2" in missed.stderr
    assert run("graph", name, str(CONFIG), "--layer", "3", "--site", "x").exit_code == 2


def test_graph_as_a_page(run: Run, spec: Spec, tmp_path: Path) -> None:
    name = spec("lora(r=2) on attn.q  # <script>\n")
    result = run("graph", name, str(CONFIG), "--html", "page.html")
    assert result.stdout == "page.html: 1 kind of module\n"
    page = (tmp_path / "page.html").read_text()
    assert page.count("<figure") == 3
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page


@pytest.mark.parametrize("function", ["llama", "narrow"])
def test_verify(run: Run, spec: Spec, model: str, function: str) -> None:
    text = "lora(r=2) on attn.q, ffn\ndora(r=2) on attn.o\nvera(r=2) on attn.k\ntune on norm\n"
    result = run("verify", spec(text), model.replace("llama", function))
    assert result.exit_code == 0, result.stdout
    rows = [line.split()[:2] for line in result.stdout.splitlines()[1:]]
    assert {row[0] for row in rows} == {"holds"}
    measured = {row[1] for row in rows}
    assert measured >= {"identity", "effect", "passes", "linkers", "merge", "remove"}


TASKS = """\
ia3 on attn.k
task a { lora(r=2) on attn.q; dora(r=2) on ffn }
task b { adapter(r=2) on ffn; tune on norm; prefix(len=2, init=zero) all layers }
"""
FUSED = "task a { adapter(r=2) on ffn }\ntask b { adapter(r=3) on ffn }\nfuse(a, b) on ffn\n"


@pytest.mark.parametrize(
    ("text", "runs"),
    [(TASKS, ["", " of a", " of b"]), (FUSED, [" of a", " of b", " of fusion"])],
    ids=["tasks", "fusion"],
)
def test_verify_goes_through_tasks(
    run: Run, spec: Spec, model: str, text: str, runs: list[str]
) -> None:
    result = run("verify", spec(text), model)
    assert result.exit_code == 0, result.stdout
    lines = result.stdout.splitlines()
    for what in ("identity", "effect"):
        rows = [line for line in lines if line.startswith(f"holds  {what}")]
        assert [row.split("  ")[1] for row in rows] == [f"{what}{each}" for each in runs]
    assert [line for line in lines if line.startswith("holds  passes")]
    words = " ".join(result.stdout.split())
    assert "LlamaForCausalLM has no whole graph: a graph has one form, and tasks" in words
    assert "a model with tasks does not merge" in words


def test_verify_tells_of_a_task(
    run: Run, spec: Spec, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that is chosen, and does not run."""
    monkeypatch.setattr(sys.modules["pefc.runtime.tasks.tasks"], "running", lambda *_: {})
    result = run("verify", spec("task a { lora(r=2) on attn.q }\n"), model)
    assert result.exit_code == 1
    assert result.stderr.endswith("does not hold on LlamaForCausalLM: effect of a\n")


def test_verify_tells_what_does_not_hold(
    run: Run, spec: Spec, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A merge that forgets its weights."""
    monkeypatch.setattr(sys.modules["pefc.compiler.merge.in_memory"], "_store", lambda *_: None)
    result = run("verify", spec("lora(r=2) on attn.q\n"), model)
    assert result.exit_code == 1
    assert "fails  merge" in result.stdout
    assert result.stderr.endswith("does not hold on LlamaForCausalLM: merge\n")
