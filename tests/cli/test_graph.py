"""`pefc graph`: which modules it shows, and the patches of tasks."""

from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Run

Spec = Callable[..., str]

CONFIG = Path(__file__).parents[1] / "golden" / "plan" / "model"


@pytest.mark.parametrize(
    ("site", "paths"),
    [
        ("attn.q", "model.layers.0..3.self_attn.q_proj"),
        ("attn.{q,v} in layers 1", "model.layers.1.self_attn.q_proj"),
        ("q_proj", "model.layers.0..3.self_attn.q_proj"),
        ("model.layers.2", "model.layers.2.self_attn.q_proj"),
        ("ffn", "model.layers.0..3.mlp"),
    ],
)
def test_graph_of_what_a_selector_names(run: Run, spec: Spec, site: str, paths: str) -> None:
    name = spec("lora(r=2) on attn.{q,v}\nadapter on ffn\n")
    shown = run("graph", name, str(CONFIG), "--site", site)
    assert shown.exit_code == 0, shown.stderr
    assert f"\n{paths} " in shown.stdout
    assert ("adapter" in shown.stdout) == (site in {"ffn", "model.layers.2"})
    missed = run("graph", name, str(CONFIG), "--site", "attn.qq")
    assert "error[unmatched-selector]" in missed.stderr


def test_graph_of_tasks_has_one_patch_for_each(run: Run, spec: Spec) -> None:
    """What no call runs together stands in no patch together."""
    tasks = "task {} {{ lora(r=2) on attn.q }}\n"
    name = spec(
        tasks.format("a") + tasks.format("b") + "task c { dora(r=2) on attn.q }\nia3 on attn.q\n"
    )
    alone, lora, dora = run("graph", name, str(CONFIG)).stdout.split("q_proj ")[1:]
    assert "without a task" in alone
    assert "tasks a and b" in lora
    assert "task c" in dora
    assert "lora" not in dora + alone
    assert "dora" not in lora + alone
    assert all("ia3.l" in each for each in (alone, lora, dora))
