from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import pefc
from pefc.compiler.model.modules import is_transposed
from pefc.runtime.quantized.form import is_packed
from pefc.runtime.quantized.read import values

from ..models import gpt2, llama
from .folders import Build, assert_same, close, loaded, merged, tensors, trained

pytestmark = pytest.mark.filterwarnings("ignore:.*distorted-weights")
"""Of GPT-2, whose inner width is 96."""

SPEC = "quantize({}, compute=fp32) on linear; lora(r=2) on attn.{{q,v}}; dora(r=2) on ffn"
FORMS = ("nf4", "nf4, double", "fp4, double")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("build", [llama, gpt2], ids=lambda build: build.__name__)
def test_into_a_dtype(build: Build, form: str, tmp_path: Path) -> None:
    """The weights are those that the adapter was trained on, whether it changes them or not."""
    model = trained(build, SPEC.format(form), tmp_path)
    found = loaded(merged(tmp_path, into=torch.float32))
    close(found, model, atol=1e-4)
    pefc.merge(model, into="fp32").save_pretrained(tmp_path / "expected")  # pyright: ignore[reportCallIssue]
    assert_same(tmp_path / "out", tmp_path / "expected")


def test_into_16_bits(tmp_path: Path) -> None:
    model = trained(llama, SPEC.format("nf4, double"), tmp_path)
    merged(tmp_path, into=torch.bfloat16)
    pefc.merge(model, into="bf16").save_pretrained(tmp_path / "expected")  # pyright: ignore[reportCallIssue]
    assert_same(tmp_path / "out", tmp_path / "expected")
    assert {tensor.dtype for tensor in tensors(tmp_path / "out").values()} == {torch.bfloat16}


def test_it_is_refused_with_the_loss_that_a_merge_in_memory_would_have(tmp_path: Path) -> None:
    model = trained(llama, SPEC.format("nf4, double"), tmp_path)
    with pytest.raises(pefc.SpecError) as found:
        merged(tmp_path)
    with pytest.raises(pefc.SpecError) as expected:
        pefc.merge(model)
    assert [_facts(d) for d in found.value.diagnostics] == [
        _facts(d) for d in expected.value.diagnostics
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "base"]


def _facts(diagnostic: object) -> tuple[object, ...]:
    """What is said, but for the file in which the spec stands."""
    names = ("path", "form", "lost", "more")
    return (type(diagnostic), *(getattr(diagnostic, name) for name in names))


@pytest.mark.parametrize("build", [llama, gpt2], ids=lambda build: build.__name__)
def test_requantized_it_holds_values_that_quantization_gives_back(
    build: Build, tmp_path: Path
) -> None:
    base = "quantize(nf4, compute=fp32) on attn"
    model = trained(build, f"{base}; lora(r=2) on attn.{{q,v}}", tmp_path)
    found = loaded(merged(tmp_path, requantize=True))
    with pytest.warns(pefc.SpecWarning, match="lost"):
        pefc.merge(model, requantize=True)
    again = pefc.apply(base, loaded(tmp_path / "out"))
    packed = [(path, module) for path, module in model.named_modules() if is_packed(module)]
    assert len(packed) == (8 if build is llama else 4)
    for path, module in packed:
        stored = found.get_submodule(path)
        weight = stored.get_parameter("weight")
        expected = values(module)
        assert torch.equal(weight.T if is_transposed(stored) else weight, expected), path
        assert torch.equal(values(again.get_submodule(path)), expected), path


def test_a_weight_that_is_not_finite_is_not_quantized(tmp_path: Path) -> None:
    trained(llama, SPEC.format("nf4"), tmp_path)
    (path,) = (
        path
        for path in (tmp_path / "base").glob("*.safetensors")
        if "model.layers.1.mlp.up_proj.weight" in load_file(path)
    )
    found = load_file(path)
    found["model.layers.1.mlp.up_proj.weight"][3, 5] = torch.nan
    save_file(found, path, metadata={"format": "pt"})
    with pytest.raises(pefc.SpecError, match=r"not-finite-weight\]: .*up_proj"):
        merged(tmp_path, into=torch.bfloat16)
    assert not (tmp_path / "out").exists()
