"""A model that transformers has read from GGUF and unpacked still says that it is quantized."""

from pathlib import Path

import pytest
import torch
from transformers import GgufConfig, LlamaForCausalLM
from transformers.quantizers.quantizer_gguf import GgufHfQuantizer

import pefc

from ..models import llama, output, perturb


def unpacked() -> LlamaForCausalLM:
    """What is left on a model when its weights have been unpacked."""
    model = llama()
    config = GgufConfig(gguf_file="model.gguf")
    model.hf_quantizer = GgufHfQuantizer(config)
    model.config.quantization_config = config
    model.is_quantized = True
    return model


def test_merging_to_a_dtype_makes_it_one_that_can_be_saved(tmp_path: Path) -> None:
    model = pefc.apply("lora(r=2) on linear", unpacked())
    perturb(model)
    with pytest.raises(ValueError, match="gguf"):
        model.save_pretrained(tmp_path)
    expected = output(model).float()
    pefc.merge(model, into="fp32").save_pretrained(tmp_path)
    read = LlamaForCausalLM.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(output(read).float(), expected, atol=1e-4, rtol=1e-4)
