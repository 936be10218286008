"""A model with a prompt in one graph: compiled, exported, and decoding from a static cache."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor
from torch.export import Dim
from transformers import CompileConfig, PreTrainedModel, StaticCache
from transformers.exporters.configs import DynamoConfig
from transformers.exporters.exporter_dynamo import DynamoExporter

from pefc.runtime.prompts.backbone import Stem, stem_names
from tests.models import gpt2, llama, words

from .prompt_models import bert, gemma, mistral
from .prompting import GREEDY, NEW, change, greedy, prompted

Build = Callable[[], PreTrainedModel]


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.parametrize("build", [gemma, bert])
def test_a_forward_is_one_graph(build: Build) -> None:
    model, _ = prompted(build())
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    mask = torch.ones_like(words())
    mask[0, :2] = 0
    with torch.no_grad():
        for given in ({}, {"attention_mask": mask}, {"position_ids": torch.arange(7)[None]}):
            assert torch.equal(compiled(words(), **given).logits, model(words(), **given).logits)


@pytest.mark.parametrize(("build", "prefill"), [(gpt2, "eager"), (mistral, "compiled")])
def test_decoding_from_a_static_cache_is_one_graph(build: Build, prefill: str) -> None:
    model, prompt = prompted(build())
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    cache = StaticCache(config=model.config, max_cache_len=7 + NEW)
    first = model if prefill == "eager" else compiled
    for ids in (words(), words().flip(1)):
        assert torch.equal(_decoded(first, compiled, cache, ids), greedy(build(), prompt, ids))
        cache.reset()


@pytest.mark.parametrize(("build", "chunk"), [(llama, None), (gemma, 3)])
def test_generate_compiles_its_steps(build: Build, chunk: int | None) -> None:
    model, prompt = prompted(build())
    config = CompileConfig(fullgraph=True, backend="eager", mode=None)
    config._compile_all_devices = True
    given = {"cache_implementation": "static", "prefill_chunk_size": chunk}
    for ids in (words(), words().flip(1)):
        text = model.generate(ids, compile_config=config, **GREEDY, **given)
        assert torch.equal(text, greedy(build(), prompt, ids))


@pytest.mark.parametrize("build", [llama, gpt2, bert])
def test_an_exported_model_takes_other_batches_and_lengths(build: Build) -> None:
    model, _ = prompted(build())
    given = {"input_ids": words(), "attention_mask": torch.ones_like(words())}
    axes = {name: {0: Dim.AUTO, 1: Dim.AUTO} for name in given}
    config = DynamoConfig(dynamic=True, dynamic_shapes=axes)
    program = DynamoExporter().export_program(model, dict(given), config)[0].module()
    other = {"input_ids": words(rows=3, length=5)}
    other["attention_mask"] = torch.ones_like(other["input_ids"])
    other["attention_mask"][1, :2] = 0
    with torch.no_grad():
        for inputs in (given, other):
            wanted = model(**inputs).logits
            torch.testing.assert_close(program(**inputs).logits, wanted, rtol=0, atol=2e-6)


def test_shifted_positions_are_in_the_graph() -> None:
    model = llama()
    change(model.model, stem_names(type(model.model), Stem(None, shift=3)))
    wanted = llama()(words(), position_ids=torch.arange(3, 10).expand(2, -1)).logits
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    assert torch.equal(compiled(words()).logits, wanted)


@torch.no_grad()
def _decoded(
    first: Callable[..., object], later: Callable[..., object], cache: StaticCache, ids: Tensor
) -> Tensor:
    token = first(ids, past_key_values=cache).logits[:, -1].argmax(-1, keepdim=True)
    text = torch.cat((ids, token), 1)
    for _ in range(NEW - 1):
        token = later(token, past_key_values=cache).logits[:, -1].argmax(-1, keepdim=True)
        text = torch.cat((text, token), 1)
    return text
