"""`gate(unipelt)` against its definition, and what users do with a gated model."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import pefc

from ..models import words
from .models import MODELS, close, computed, tasked, train
from .unipelt import SPECS, Reference

MODEL = pytest.mark.parametrize("name", SPECS)
WRITERS = ("llama", "gpt2", "t5")
GREEDY = {
    "max_new_tokens": 6,
    "do_sample": False,
    "eos_token_id": None,
    "pad_token_id": 1,
    "output_logits": True,
    "return_dict_in_generate": True,
}


def tensors(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}


@MODEL
def test_gates_and_outputs_are_those_of_the_definition(name: str) -> None:
    model = tasked(name, SPECS[name])
    reference = Reference(name, tensors(model))
    expected = reference.output()
    with torch.no_grad():
        close(computed(model), expected)
    found = pefc.gates(model)
    assert dict(found).keys() == reference.gates.keys()
    for path, value in found.items():
        assert value.shape == (4,)
        assert not value.requires_grad
        torch.testing.assert_close(value, reference.gates[path], rtol=0, atol=1e-12)
    assert len({round(v, 9) for value in found.values() for v in value.tolist()}) > len(found)


@MODEL
def test_every_submodule_of_every_layer_has_a_gate(name: str) -> None:
    plan = pefc.plan(SPECS[name], MODELS[name]())
    layers = {"llama": 2, "gpt2": 2, "bert": 2, "t5": 4}[name]
    attentions = {"t5": 6}.get(name, layers)
    maps = {"llama": 3}.get(name, 2)
    labels = [planned.label for planned in plan.attachments]
    assert labels.count("lora") == maps * layers
    assert labels.count("adapter") == layers
    assert labels.count("prefix") == attentions
    for planned in plan.attachments:
        last = {t.name: t.shape for t in planned.tensors[-2:]}
        width = planned.site.inputs if planned.label == "lora" else 24
        assert last == {"gate.weight": (1, width), "gate.bias": (1,)}


@MODEL
def test_it_trains_and_nothing_else_does(name: str, tmp_path: Path) -> None:
    model = pefc.apply(SPECS[name], MODELS[name]())
    start = {key: p.clone() for key, p in model.named_parameters()}
    base = dict(MODELS[name]().named_parameters())
    before, after = train(model)
    assert after < 0.9 * before
    for key, parameter in model.named_parameters():
        assert torch.equal(parameter, start[key]) == (key in base), key
    pefc.save(model, tmp_path)
    loaded = pefc.load(MODELS[name](), tmp_path)
    assert torch.equal(computed(loaded), computed(model))
    for path, value in pefc.gates(model).items():
        assert torch.equal(pefc.gates(loaded)[path], value)
    state = model.state_dict()
    assert loaded.state_dict().keys() == state.keys()
    assert all(torch.equal(state[key], value) for key, value in loaded.state_dict().items())


def fixed(model: nn.Module) -> nn.Module:
    """The model with the values of its gates at its last call, whatever comes."""
    with torch.no_grad():
        for path, value in pefc.gates(model).items():
            gate = model.get_submodule(path).gate
            gate.weight.zero_()
            gate.bias.copy_(value.logit())
    return model


@pytest.mark.parametrize("name", WRITERS)
@torch.no_grad()
def test_a_text_is_decoded_with_the_gates_of_its_prompt(name: str) -> None:
    """From a cache it is what whole forwards give whose gates are those of the prompt."""
    model, row = tasked(name, SPECS[name]), words()[:1]
    cached = model.generate(row, **GREEDY)
    full = fixed(model).generate(row, use_cache=False, **GREEDY)
    assert cached.sequences.shape[1] == 6 + (1 if name == "t5" else 7)
    assert torch.equal(cached.sequences, full.sequences)
    for one, other in zip(cached.logits, full.logits, strict=True):
        close(one, other, 1e-10)


@pytest.mark.parametrize("name", WRITERS)
@torch.no_grad()
def test_rows_of_one_length_are_decoded_as_each_alone(name: str) -> None:
    model, rows = tasked(name, SPECS[name]), words(rows=3)
    together = model.generate(rows, **GREEDY).sequences
    beams = model.generate(rows, num_beams=2, **{**GREEDY, "output_logits": False}).sequences
    for place, row in enumerate(rows):
        alone = model.generate(row[None], **GREEDY).sequences
        assert torch.equal(together[place], alone[0])
        beam = model.generate(row[None], num_beams=2, **{**GREEDY, "output_logits": False})
        assert torch.equal(beams[place], beam.sequences[0])


@MODEL
def test_a_trailing_gate_is_one_with_braces(name: str, tmp_path: Path) -> None:
    body = SPECS[name].removesuffix("; gate(unipelt)")
    trailing = tasked(name, SPECS[name])
    braces = pefc.apply(f"gate(unipelt) {{ {body} }}", MODELS[name]()).double()
    braces.load_state_dict(trailing.state_dict())
    assert torch.equal(computed(braces), computed(trailing))
    for model, folder in ((trailing, "a"), (braces, "b")):
        pefc.save(model, tmp_path / folder)
    first, second = ((tmp_path / folder / "spec.peft").read_text() for folder in "ab")
    assert first == second
    assert first.startswith("gate(")


def test_a_trailing_gate_leaves_what_stands_below_alone() -> None:
    spec = "lora(r=2) on attn.q; gate(unipelt); lora(r=2) on attn.k"
    plan = pefc.plan(spec, MODELS["llama"]())
    gated = {p.site.role: p.member.gated for p in plan.attachments}
    assert gated == {"attn.q": True, "attn.k": False}


PLOT = """\
  0 model.layers.0.self_attn.prefix       0.75 ██████████████████████████████
  1 model.layers.1.self_attn.prefix       0.75 ██████████████████████████████
  0 model.layers.0.mlp.adapter            0.00
  1 model.layers.1.mlp.adapter            0.00
  0 model.layers.0.self_attn.q_proj.lora  0.50 ████████████████████
  1 model.layers.1.self_attn.q_proj.lora  1.00 ████████████████████████████████████████"""


def test_values_are_printed_as_a_plot() -> None:
    spec = "prefix(len=2) all layers; adapter(r=2) on ffn; lora(r=2) on attn.q; gate(unipelt)"
    model = pefc.apply(spec, MODELS["llama"]())
    assert not pefc.gates(model)
    assert str(pefc.gates(model)) == ""
    inputs = {"prefix": 1.0986123, "adapter": -30, "0.self_attn.q_proj": 0, "1.self_attn.q": 30}
    with torch.no_grad():
        for name, tensor in tensors(model).items():
            if ".gate." in name:
                value = next(value for part, value in inputs.items() if part in name)
                tensor.fill_(value if name.endswith("bias") else 0)
        computed(model)
    assert str(pefc.gates(model)) == PLOT


EXACT = (
    "lora(r=2) on attn.{q,v}, ffn; adapter(r=2) on ffn; gate(unipelt)",
    "adapter(parallel, r=2) on ffn; pfeiffer(r=2) on attn; ia3 on attn.k; gate(unipelt)",
    "prefix(len=2, init=zero) all layers; llama_adapter(len=2) all layers; gate(unipelt)",
    "task a { gate(unipelt) { lora(r=2) on attn.q } }",
)
SAYS = {
    **dict.fromkeys(EXACT, "exact"),
    "gate(unipelt) { dora(r=2) on attn.q }": "rounding",
    "gate(unipelt) { prefix(len=2) all layers }": "changes",
    "gate(unipelt) { adapter(r=2, init=bert) on ffn }": "changes",
}


@pytest.mark.parametrize("spec", SAYS)
@pytest.mark.parametrize("name", MODELS)
def test_a_gated_model_starts_as_its_proof_says(name: str, spec: str) -> None:
    base, said = MODELS[name](), SAYS[spec]
    program = pefc.compile(spec, base)
    assert {planned.verdict.identity for planned in program.plan.attachments} == {said}
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        model = deepcopy(base).to(dtype)
        with torch.no_grad():
            before = computed(model)
            pefc.Program(program.plan, model).apply()
            if program.plan.tasks:
                pefc.set_task(model, "a")
            after = computed(model)
        assert pefc.gates(model)
        change = (after - before).abs().max() / before.abs().max()
        if said == "exact":
            assert torch.equal(after, before)
        elif said == "rounding":
            assert change <= {torch.float32: 1e-5, torch.bfloat16: 0.1, torch.float64: 1e-12}[dtype]
        elif dtype != torch.bfloat16:
            assert change > 1e-6


@MODEL
def test_a_model_is_copied_after_a_call_with_gradients(name: str) -> None:
    model = tasked(name, SPECS[name])
    expected = computed(model)
    assert expected.requires_grad
    copy = deepcopy(model)
    assert dict(pefc.gates(copy)).keys() == dict(pefc.gates(model)).keys()
    assert torch.equal(computed(copy), expected)
    with torch.no_grad():
        for path in pefc.gates(copy):
            copy.get_submodule(path).gate.bias.add_(1)
        assert not torch.equal(computed(copy), expected)
    assert torch.equal(computed(model), expected)


def test_a_task_with_a_gate_and_one_without_are_two() -> None:
    plain, gated = "lora(r=2) on attn.q", "gate(unipelt) { lora(r=2) on attn.q }"
    for first, second in ((plain, gated), (gated, plain)):
        model = tasked("llama", f"task one {{ {first} }}\ntask two {{ {second} }}")
        for task, spec in (("one", first), ("two", second)):
            pefc.set_task(model, task)
            alone = pefc.apply(spec, MODELS["llama"]()).double()
            state = {
                key.replace(f".{task}.", "."): value
                for key, value in model.state_dict().items()
                if f".{'two' if task == 'one' else 'one'}." not in key
            }
            alone.load_state_dict(state)
            close(computed(model), computed(alone))
            assert bool(pefc.gates(model)) == (spec == gated)


def test_padding_is_no_part_of_a_gate() -> None:
    model = tasked("llama", "gate(unipelt) { lora(r=2) on attn.q; adapter(r=4) on ffn }")
    text = words(rows=1)
    padded = torch.cat((text[:, :2], text), 1)
    mask = torch.ones_like(padded)
    mask[:, :2] = 0
    alone = model(text).logits
    found = model(padded, attention_mask=mask).logits[:, 2:]
    torch.testing.assert_close(found, alone, atol=1e-6, rtol=0)  # rotations are in 32 bits
