"""What goes wrong between a spec and a model, as a user reads it.

A spec in model/ is planned on the model that its first line names; other mistakes are functions.
"""

import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn

import pefc
from pefc.compiler.plan import planner as planning
from pefc.dsl.diagnostics.render import full

from ..models import Step, bert, gpt2, llama, pair, plain, sdpa
from .combine_mistakes import COMBINE_MISTAKES
from .command_mistakes import COMMAND_MISTAKES, RefusedError
from .merge_mistakes import MERGE_MISTAKES
from .mistakes import MISTAKES
from .quantize_mistakes import QUANTIZE_MISTAKES
from .reaching_mistakes import REACHING_MISTAKES
from .task_mistakes import TASK_MISTAKES
from .training_mistakes import TRAINING_MISTAKES
from .wrapping_mistakes import WRAPPING_MISTAKES

FOLDER = Path(__file__).parent / "model"
ALL_MISTAKES = (
    *MISTAKES,
    *COMMAND_MISTAKES,
    *COMBINE_MISTAKES,
    *MERGE_MISTAKES,
    *QUANTIZE_MISTAKES,
    *REACHING_MISTAKES,
    *TASK_MISTAKES,
    *TRAINING_MISTAKES,
    *WRAPPING_MISTAKES,
)
SPECS = sorted(FOLDER.glob("*.peft"))


class Bare(nn.Module):
    """A feed-forward branch that is written with functions, so that no module is called with x."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(64, 24)
        self.gain = nn.Parameter(torch.ones(24))
        self.up, self.down = nn.Linear(24, 40), nn.Linear(40, 24)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(input_ids) * self.gain
        inner = nn.functional.linear(x, self.up.weight, self.up.bias)
        return x + self.down(torch.relu(inner))


class Uneven(nn.Module):
    """Two attentions with different numbers of heads."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(64, 24)
        self.first, self.second = Step(heads=4), Step(heads=2)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(self.embed(input_ids)))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "bert": bert,
    "gpt2": gpt2,
    "llama": llama,
    "pair": pair,
    "sdpa": sdpa,
    "plain": plain,
    "tied": lambda: llama(tied=True),
    "bare": Bare,
    "uneven": Uneven,
}


@cache
def model_called(name: str) -> nn.Module:
    return MODELS[name]()


@pytest.fixture(scope="module", autouse=True)
def _models_are_read_once() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "find_sites", cache(planning.find_sites))
        yield


def rendered(error: pefc.SpecError | pefc.SpecWarning | RefusedError) -> str:
    if isinstance(error, RefusedError):
        return str(error)
    if isinstance(error, pefc.SpecWarning):
        return full(error.diagnostic)
    return "\n".join(map(full, error.diagnostics))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_spec(path: Path, golden: Callable[[Path, str], None]) -> None:
    text = path.read_text(encoding="utf-8")
    (name,) = re.findall(r"^# on: (\w+)\n", text)
    with pytest.raises(pefc.SpecError) as caught:
        pefc.plan(pefc.parse(text, name=path.name), model_called(name))
    golden(path.with_suffix(".err"), rendered(caught.value))


@pytest.mark.parametrize("mistake", ALL_MISTAKES, ids=lambda mistake: mistake.__name__)
def test_mistake(
    mistake: Callable[[], None],
    golden: Callable[[Path, str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises((pefc.SpecError, pefc.SpecWarning, RefusedError)) as caught:
        mistake()
    golden(FOLDER / f"{_called(mistake)}.err", rendered(caught.value))


def test_no_golden_is_orphaned() -> None:
    stems = {path.stem for path in SPECS}
    functions = {_called(mistake) for mistake in ALL_MISTAKES}
    assert not stems & functions
    assert {path.stem for path in FOLDER.glob("*.err")} == stems | functions


def _called(mistake: Callable[[], None]) -> str:
    return mistake.__name__.replace("_", "-")


@pytest.mark.parametrize("term", ["attn.qery", '"mlp.up_prj"', ":LinearLayr?, :Linea"])
def test_a_fix_mends_what_it_stands_for(term: str) -> None:
    text = f"lora on {term}\n"
    with pytest.raises(pefc.SpecError) as caught:
        pefc.plan(text, model_called("llama"))
    (diagnostic,) = caught.value.diagnostics
    fix = diagnostic.fix()
    assert fix is not None
    mended = text[: fix.span.start] + fix.replacement + text[fix.span.stop :]
    assert pefc.plan(mended, model_called("llama")).attachments
