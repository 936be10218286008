"""`pefc verify` over every method and recipe that ships: each passes, or says why it cannot be."""

import sys
import warnings
from collections.abc import Callable
from functools import cache

import pytest
from torch import nn

import pefc
from pefc.compiler.measure.verify import Measured, verify
from pefc.compiler.model.probe import digests
from pefc.compiler.model.sites import SiteTable
from pefc.compiler.plan import planner as planning
from pefc.dsl.parsing import library

from ..models import gpt2, llama

REFUSED = {
    ("bitfit", "llama"): "no-bias",
    ("glora", "llama"): "no-bias",
    ("p_tuning_v2", "gpt2"): "tied-tune",
}
"""What has no place in a model, and what is said of it."""
CALLS = {
    "adalora": "adalora(r=4, target=1, steps=9)",
    "adapter_fusion": "task one { pfeiffer(r=2) on ffn }\n"
    "task two { pfeiffer(r=2) on ffn }\nfuse(one, two) on ffn",
    "c3a": "c3a(size=4)",
    "fourierft": "fourierft(n=9)",
    "houlsby": "houlsby(r=2)",
    "mam": "mam(len=3, mlp=4)",
    "oft": "oft(size=4)",
    "p_tuning": "p_tuning(len=3, h=4)",
    "prefix_mlp": "prefix_mlp(len=3)",
    "psoft": "psoft(r=4)",
    "road": "road(group=4)",
    "shira": "shira(r=2)",
    "unipelt": "unipelt(len=3, r=2)",
    "vera": "vera(r=4)",
}
"""With arguments that fit small widths; others stand with `r=4` or `len=3`, if they have it."""
PLACES = {"linear": "linear", "any": "linear", "norm": "norm", "block": "ffn"}
TRACED = {"dora", "pfeiffer"}
"""Whose rewritten graphs are compared too: a trace takes a second."""


def spec(name: str) -> str:
    method = library.method(name)
    text = CALLS.get(name, name)
    if method is None or name == "adapter_fusion":
        return text
    known = {parameter.name for parameter in method.parameters}
    sizes = [given for key, given in (("r", "r=4"), ("len", "len=3")) if key in known]
    call = text if "(" in text or not sizes else f"{text}({', '.join(sizes)})"
    if method.site == "tokens":
        return call
    return (
        f"{call} all layers" if method.site == "attention" else f"{call} on {PLACES[method.site]}"
    )


@cache
def base(build: Callable[..., nn.Module]) -> tuple[nn.Module, SiteTable]:
    model = build(layers=1)
    return model, planning.find_sites(model)


@pytest.mark.parametrize("build", [llama, gpt2], ids=lambda build: build.__name__)
@pytest.mark.parametrize("name", library.names())
def test_every_method_keeps_what_its_plan_promises(
    name: str, build: Callable[..., nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, table = base(build)
    monkeypatch.setattr(planning, "find_sites", lambda _model: table)
    if name not in TRACED:
        nothing = Measured("linkers", "not traced here", None, None, holds=True)
        monkeypatch.setattr(sys.modules[verify.__module__], "_linkers", lambda *_: nothing)
    checked = pefc.check(pefc.parse(spec(name)))
    refused = REFUSED.get((name, build.__name__))
    if refused is not None:
        with pytest.raises(pefc.SpecError) as caught:
            list(verify(checked, model))
        assert {found.code() for found in caught.value.diagnostics} == {refused}
        return
    before = digests(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pefc.SpecWarning)
        found = list(verify(checked, model))
    assert digests(model) == before
    assert [measured for measured in found if not measured.holds] == []
    assert {"identity", "frozen", "remove", "merge"} <= {m.what.split(" of ")[0] for m in found}
