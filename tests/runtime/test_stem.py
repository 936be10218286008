"""What a forward of a model with a prompt returns."""

import copy
from collections.abc import Callable

import pytest
import torch
from peft import PromptTuningConfig, get_peft_model
from transformers import DynamicCache, PreTrainedModel

from pefc.runtime.prompts.backbone import Stem, stem_names
from tests.models import gpt2, llama, words

from .prompt_models import bert, gemma, mistral, mixtral, roberta
from .prompting import LENGTH, change, counted, expected, longer, prompted

Build = Callable[[], PreTrainedModel]
DECODERS = [llama, gpt2, mistral, gemma, mixtral]


@pytest.mark.parametrize("build", DECODERS)
def test_logits_are_those_of_the_longer_text(build: Build) -> None:
    model, prompt = prompted(build())
    assert torch.equal(model(words()).logits, expected(build(), prompt, words()))


@pytest.mark.parametrize("build", DECODERS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_stays_masked(build: Build, side: str) -> None:
    model, prompt = prompted(build())
    mask = torch.ones_like(words())
    mask[0, slice(0, 2) if side == "left" else slice(-2, None)] = 0
    logits = model(words(), attention_mask=mask).logits
    assert torch.equal(logits[mask > 0], expected(build(), prompt, words(), mask)[mask > 0])
    other = words()
    other[mask == 0] = 9
    others = model(other, attention_mask=mask).logits[mask > 0]
    torch.testing.assert_close(logits[mask > 0], others, rtol=0, atol=1e-5)


def test_given_positions_follow_those_of_the_prompt() -> None:
    model, prompt = prompted(llama())
    mask = torch.ones_like(words())
    mask[0, :2] = 0
    positions = counted(mask)[:, LENGTH:] - LENGTH
    logits = model(words(), attention_mask=mask, position_ids=positions).logits
    assert torch.equal(logits, expected(llama(), prompt, words(), mask, position_ids=counted(mask)))


def test_given_embeddings_take_the_place_of_ids() -> None:
    model, _ = prompted(llama())
    embeddings = model.get_input_embeddings()(words())
    assert torch.equal(model(inputs_embeds=embeddings).logits, model(words()).logits)


def test_prompt_tuning_of_peft_is_the_same() -> None:
    model, prompt = prompted(llama())
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=LENGTH)
    other = get_peft_model(llama(), config).eval()
    other.prompt_encoder["default"].embedding.weight.data.copy_(prompt)
    mask = torch.ones_like(words())
    mask[1, :3] = 0
    theirs = other(input_ids=words(), attention_mask=mask).logits[:, LENGTH:]
    torch.testing.assert_close(
        model(words(), attention_mask=mask).logits, theirs, rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("build", DECODERS)
def test_loss_is_that_of_the_text_and_trains_the_prompt(build: Build) -> None:
    model, prompt = prompted(build())
    loss = model(words(), attention_mask=torch.ones_like(words()), labels=words()).loss
    logits = expected(build(), prompt, words())[:, :-1]
    text = torch.nn.functional.cross_entropy(logits.flatten(0, 1), words()[:, 1:].flatten())
    if build is not mixtral:
        torch.testing.assert_close(loss, text, rtol=1e-6, atol=0)
    loss.backward()
    assert prompt.grad is not None
    assert prompt.grad.abs().sum(-1).min() > 0


def test_choices_of_experts_are_those_of_the_text() -> None:
    model, prompt = prompted(mixtral())
    embeddings = longer(mixtral(), prompt, words())
    whole = mixtral()(inputs_embeds=embeddings).router_logits[1].unflatten(0, (2, -1))
    assert torch.equal(model(words()).router_logits[1], whole[:, LENGTH:].flatten(0, 1))


def test_each_row_has_a_prompt_of_its_own() -> None:
    model, prompt = prompted(llama(), rows=2)
    logits = model(words()).logits
    assert torch.equal(logits, expected(llama(), prompt, words()))
    swapped = expected(llama(), prompt.flip(0), words())
    assert not torch.allclose(logits, swapped)
    with pytest.raises(ValueError, match="2 rows for a batch of 3"):
        model(words(rows=3))


@pytest.mark.parametrize("build", [*DECODERS, bert, roberta])
def test_shapes_are_those_without_a_prompt(build: Build) -> None:
    model, other = prompted(build())[0], build()
    ask = {"output_hidden_states": True, "output_attentions": True}
    for one in (model, other):
        one.set_attn_implementation("eager")
    assert _shapes(model(words(), **ask)) == _shapes(other(words(), **ask))
    ours, theirs = model(words()[:, :4], use_cache=True), other(words()[:, :4], use_cache=True)
    if "past_key_values" not in ours:
        return
    later = [
        one(words()[:, 4:], past_key_values=output.past_key_values, **ask)
        for one, output in ((model, ours), (other, theirs))
    ]
    assert _shapes(later[0])["hidden_states"] == _shapes(later[1])["hidden_states"]
    if build not in (mistral, gemma):  # a window shows fewer tokens of the text after a prompt
        assert _shapes(later[0]) == _shapes(later[1])


def test_tuples_come_back_where_they_are_asked_for() -> None:
    model, _ = prompted(llama())
    states, _ = model.model(words(), use_cache=True, return_dict=False)
    assert torch.equal(states, model.model(words()).last_hidden_state)


def test_the_pooler_reads_the_first_token_of_the_text() -> None:
    model, prompt = prompted(bert())
    other = bert()
    types = torch.ones_like(words())
    output = model.base_model(words(), token_type_ids=types)
    longer_types = torch.cat((types.new_zeros(2, LENGTH), types), 1)
    embeddings = longer(other, prompt, words())
    states = other.base_model(inputs_embeds=embeddings, token_type_ids=longer_types)[0]
    assert torch.equal(output.last_hidden_state, states[:, LENGTH:])
    assert torch.equal(output.pooler_output, other.base_model.pooler(states[:, LENGTH:]))
    logits = other.classifier(output.pooler_output)
    assert torch.equal(model(words(), token_type_ids=types).logits, logits)


def test_a_text_goes_on_from_its_cache() -> None:
    model, prompt = prompted(llama())
    first = model(words()[:, :3], past_key_values=DynamicCache(), use_cache=True)
    mask = torch.ones_like(words())
    second = model(words()[:, 3:], past_key_values=first.past_key_values, attention_mask=mask)
    logits = torch.cat((first.logits, second.logits), 1)
    torch.testing.assert_close(logits, expected(llama(), prompt, words()), rtol=0, atol=2e-6)


@pytest.mark.parametrize("dtype", [torch.bool, torch.float32])
def test_masks_over_both_axes_grow(dtype: torch.dtype) -> None:
    model, prompt = prompted(llama())
    mask = torch.ones(7, 7, dtype=torch.bool).tril().expand(2, 1, 7, 7).clone()
    mask[0, :, 1:, 0] = False
    whole = torch.ones(11, 11, dtype=torch.bool).tril().expand(2, 1, 11, 11).clone()
    whole[0, :, LENGTH + 1 :, LENGTH] = False
    logits = llama()(inputs_embeds=longer(llama(), prompt, words()), attention_mask=whole).logits
    if dtype is not torch.bool:
        mask = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(dtype).min)
    assert torch.equal(model(words(), attention_mask=mask).logits, logits[:, LENGTH:])


def test_masks_over_both_axes_of_a_bidirectional_model_grow() -> None:
    model, prompt = prompted(roberta())
    flat = torch.ones_like(words())
    flat[0, -2:] = 0
    square = flat[:, None, None, :].bool().expand(2, 1, 7, 7)
    ours = model(words(), attention_mask=square).logits[flat > 0]
    assert torch.equal(ours, expected(roberta(), prompt, words(), flat)[flat > 0])


@pytest.mark.parametrize(
    "given",
    [
        {"position_ids": torch.tensor([[0, 1, 2, 0, 1, 2, 3]] * 2)},
        {"cu_seq_lens_q": torch.tensor([0, 3, 7])},
        {"attention_mask": torch.ones(2, 1, 5, 7, dtype=torch.bool)},
    ],
    ids=lambda given: next(iter(given)),
)
def test_what_a_prompt_cannot_stand_before_is_refused(given: dict[str, torch.Tensor]) -> None:
    model, _ = prompted(llama())
    with pytest.raises(ValueError, match="a prompt cannot"):
        model(words(), **given)


@pytest.mark.parametrize("build", [llama, gpt2, roberta])
def test_positions_shift_without_a_prompt(build: Build) -> None:
    model = build()
    change(model.base_model, stem_names(type(model.base_model), Stem(None, shift=3)))
    start = 5 if build is roberta else 3
    positions = torch.arange(start, start + 7).expand(2, -1)
    mask = torch.ones_like(words())
    wanted = build()(words(), attention_mask=mask, position_ids=positions).logits
    assert torch.equal(model(words(), attention_mask=mask).logits, wanted)
    assert torch.equal(
        model(words(), attention_mask=mask, position_ids=positions - 3).logits, wanted
    )


def test_positions_of_prompt_and_text_shift_together() -> None:
    model, prompt = prompted(gpt2(), shift=3)
    mask = torch.ones_like(words())
    wanted = expected(gpt2(), prompt, words(), mask, position_ids=counted(mask) + 3)
    assert torch.equal(model(words(), attention_mask=mask).logits, wanted)


@pytest.mark.parametrize("build", [llama, gpt2])
@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoints_change_no_gradient(build: Build, reentrant: bool) -> None:
    gradients = []
    for checkpoints in (False, True):
        model, prompt = prompted(build())
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        model.train()
        if checkpoints:
            model.activation_checkpointing_enable({"use_reentrant": reentrant})
        model(words(), labels=words()).loss.backward()
        gradients.append(prompt.grad)
    assert torch.equal(*gradients)


def test_copies_are_models_of_their_own() -> None:
    model, prompt = prompted(llama())
    other = copy.deepcopy(model)
    before = other(words()).logits
    with torch.no_grad():
        prompt.add_(1.0)
    assert torch.equal(other(words()).logits, before)
    assert not torch.allclose(model(words()).logits, before)


def test_autocast_computes_in_its_own_dtype() -> None:
    model, prompt = prompted(llama())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(words()).logits
        assert torch.equal(logits, expected(llama(), prompt, words()))
    assert logits.dtype == torch.bfloat16


def _shapes(output: dict[str, object]) -> dict[str, object]:
    return {
        name: [tuple(one.shape) for one in (value if isinstance(value, tuple) else (value,))]
        for name, value in output.items()
        if name != "past_key_values"
    }
