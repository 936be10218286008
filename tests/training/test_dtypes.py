"""Tensors that train have 32 bits beside weights of 16, and what they meet keeps its own."""

from collections import Counter
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import pefc
from pefc.cli.views.totals import _bytes

from ..laws.test_identity import AROUND_CHANGES, AROUND_EXACT, AROUND_ROUNDING, calls, compiled
from ..models import gpt2, llama, output, perturb, words

ON = {
    "prefix": " all layers",
    "prefix_mlp": " all layers",
    "llama_adapter": " all layers",
    "prompt": "",
    "p_tuning": "",
}
AROUND = sorted(AROUND_EXACT | AROUND_ROUNDING | AROUND_CHANGES)
SPECS = [
    *(f"{call} on linear" for call in calls() if call != "bitfit"),
    *(f"{call}{ON.get(call.partition('(')[0], ' on ffn')}" for call in AROUND),
    "gate(unipelt) { lora(r=2) on attn.q; adapter(r=2) on ffn; prefix(len=2) all layers }",
    "lora(r=2) on attn with dtype=bf16; dora(r=2) on attn",
    "quantize(nf4, double) on linear; dora(r=2) on linear; pissa(r=2) on attn.q as second",
    "quantize(int8) on linear; dora(r=2) on linear",
]
TRANSFORMED = {"c3a", "fourierft"}
"""Their transforms exist in 32 bits alone."""


def half() -> nn.Module:
    """A model in 16 bits."""
    return llama().bfloat16()


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


class Wide(TorchDispatchMode):
    """Counts, by operation, the values of 32 bits that have a row for each token."""

    rows = words(rows=5, length=11).shape

    def __init__(self) -> None:
        super().__init__()
        self.found = Counter[str]()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # noqa: ANN001, ANN204
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.dtype == torch.float32 and result.ndim > 1:
            sizes = tuple(result.shape)
            of_rows = sizes[0] == self.rows[0] and self.rows[1] in sizes
            if of_rows or sizes[0] == self.rows.numel():
                self.found[str(func)] += 1
        return result


def widened(model: nn.Module) -> Counter[str]:
    """What a forward computes for tokens in 32 bits."""
    with torch.no_grad(), Wide() as seen:
        output(model, words(rows=5, length=11))
    return seen.found


@pytest.mark.parametrize("spec", SPECS)
def test_every_method_trains_in_32_bits_and_computes_in_16(spec: str) -> None:
    model = half() if "glora" not in spec else gpt2().bfloat16()
    before = widened(model)
    if compiled(spec, model) is None:
        return
    pefc.apply(spec, model)
    expected = {torch.bfloat16, torch.float32} if "dtype=bf16" in spec else {torch.float32}
    assert {p.dtype for p in trained(model).values()} == expected
    if spec.partition("(")[0] not in TRANSFORMED and "quantize" not in spec:
        assert not widened(model) - before
    perturb(model, scale=0.02)
    found = output(model)
    assert found.dtype == torch.bfloat16
    found.float().square().mean().backward()
    for name, parameter in trained(model).items():
        assert parameter.grad is not None, name
        assert parameter.grad.dtype == parameter.dtype, name
        assert parameter.grad.isfinite().all(), name
    whole = output(deepcopy(model).float()) if "quantize" not in spec else found
    assert (found - whole).abs().max() <= 0.1 * whole.abs().max()


@pytest.mark.parametrize(("clause", "moves"), [("", True), (" with dtype=bf16", False)])
def test_small_steps_move_every_entry(clause: str, moves: bool) -> None:
    """60 steps of AdamW at 2e-5 are lost to most entries in 16 bits."""
    torch.manual_seed(0)
    model = pefc.apply(f"lora(r=4) on attn.{{q,v}}{clause}", half().train())
    started = {name: p.detach().clone() for name, p in trained(model).items() if name[-1] == "A"}
    optimizer = torch.optim.AdamW(trained(model).values(), lr=2e-5)
    for _ in range(60):
        optimizer.zero_grad()
        model(words(), labels=words()).loss.backward()
        optimizer.step()
    moved = [(model.get_parameter(name) != value).float().mean() for name, value in started.items()]
    share = torch.stack(moved).mean().item()
    assert share == 1 if moves else share < 0.5


def test_a_merge_rounds_once() -> None:
    model = pefc.apply("lora(r=2, alpha=4) on attn.q", half())
    perturb(model)
    maps = [layer.self_attn.q_proj for layer in model.model.layers]  # pyright: ignore[reportGeneralTypeIssues, reportAttributeAccessIssue]
    sums = [m.weight.float() + 2 * m.lora.B @ m.lora.A for m in maps]
    pefc.merge(model)
    for module, expected in zip(maps, sums, strict=True):
        assert torch.equal(module.weight, expected.to(torch.bfloat16))


@pytest.mark.parametrize("spec", ["lora(r=2) on attn.q", "pissa(r=2) on ffn; vera(r=2) on attn"])
def test_what_was_saved_in_16_bits_loads_into_32(spec: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = pefc.apply(spec, half())
    perturb(model)
    model.to(torch.bfloat16)
    pefc.save(model, tmp_path / "old")
    old = load_file(tmp_path / "old" / "adapter.safetensors")
    assert {value.dtype for value in old.values()} == {torch.bfloat16}
    loaded = pefc.load(half(), tmp_path / "old")
    assert {p.dtype for p in trained(loaded).values()} == {torch.float32}
    state = loaded.state_dict()
    for name, value in old.items():
        assert torch.equal(state[name], value.to(state[name].dtype)), name
    assert (output(loaded) - output(model)).abs().max() <= 0.05 * output(model).abs().max()


def test_what_is_saved_has_the_dtype_that_it_was_trained_in(tmp_path: Path) -> None:
    spec = "lora(r=2) on attn.q; lora(r=2) on attn.v as narrow with lr=2x, dtype=bf16"
    model = pefc.apply(spec, half())
    perturb(model)
    pefc.save(model, tmp_path / "out")
    assert "with lr=2x, dtype=bf16" in (tmp_path / "out" / "spec.peft").read_text()
    found = load_file(tmp_path / "out" / "adapter.safetensors")
    for name, value in found.items():
        assert value.dtype == (torch.bfloat16 if "narrow" in name else torch.float32), name
    loaded = pefc.load(half(), tmp_path / "out")
    assert torch.equal(output(loaded), output(model))
    assert {n: p.dtype for n, p in trained(loaded).items()} == {
        n: p.dtype for n, p in trained(model).items()
    }


def test_a_recipe_and_a_task_may_choose_a_dtype() -> None:
    spec = """
    recipe narrow(kind: {bf16, fp16, fp32} = fp32) { lora(r=2) on attn.q with dtype=kind }
    task one { narrow(kind=bf16) }
    task two { narrow }
    task three { tune on norm }
    """
    model = pefc.apply(spec, half())
    dtypes = {name.split(".")[5]: p.dtype for name, p in trained(model).items() if "q_proj" in name}
    assert dtypes == {"one": torch.bfloat16, "two": torch.float32}
    norms = {p.dtype for name, p in trained(model).items() if "norm" in name}
    assert norms == {torch.bfloat16}  # a copy of a parameter is like the parameter
    perturb(model)
    with pefc.tasks(model, ["one", "two", "three", None]):
        together = output(model, words(rows=4))
    for row, name in enumerate(("one", "two", "three", None)):
        pefc.set_task(model, name)
        alone = output(model, words(rows=4))[row]
        assert (together[row] - alone).abs().max() <= 0.05 * alone.abs().max()


@pytest.mark.parametrize("spec", ["prompt(len=2)", "prefix(len=2) all layers"])
def test_a_cache_has_the_dtype_of_the_model(spec: str) -> None:
    model = pefc.apply(spec, half())
    cache = model(words(), use_cache=True).past_key_values
    assert {layer.keys.dtype for layer in cache.layers} == {torch.bfloat16}
    assert {layer.values.dtype for layer in cache.layers} == {torch.bfloat16}


def test_a_wider_base_has_a_wider_adapter() -> None:
    model = pefc.apply("lora(r=2) on attn.q; ia3 on attn.v with dtype=fp32", llama().double())
    assert {name[-1]: p.dtype for name, p in trained(model).items()} == {
        "A": torch.float64,
        "B": torch.float64,
        "l": torch.float32,
    }
    assert output(model).dtype == torch.float64


def test_a_plan_counts_the_bytes() -> None:
    model = half()
    for clause, size in ("", 4), (" with dtype=bf16", 2):
        plan = pefc.compile(f"lora(r=2) on attn.q{clause}", model).plan
        (saved, trains), name = _bytes(plan, model), "float32" if size == 4 else "bfloat16"
        assert saved == {name: size * plan.trainable}
        assert trains == size * plan.trainable
