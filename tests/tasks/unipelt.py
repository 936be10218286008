"""UniPELT without pefc: forward hooks and one attention function over a model of transformers."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from .models import MODELS, computed

NAME = "unipelt_reference"
MAPS = {"llama": "mlp.*", "gpt2": "mlp.*", "bert": "ffn", "t5": "ffn"}
"""The maps of the feed-forward blocks. In BERT and T5 no module is called `mlp`; the role is."""
SPEC = "lora(r=8) on {}; adapter(parallel) on ffn; prefix(len=20) all layers; gate(unipelt)"
SPECS = {name: SPEC.format(maps) for name, maps in MAPS.items()}
INPUTS = {
    "model.layers.{}.mlp": "model.layers.{}.mlp",
    "transformer.h.{}.mlp": "transformer.h.{}.mlp",
    "encoder.layer.{}.output.dropout": "encoder.layer.{}.intermediate",
    "encoder.block.{}.layer.1.dropout": "encoder.block.{}.layer.1.DenseReluDense",
    "decoder.block.{}.layer.2.dropout": "decoder.block.{}.layer.2.DenseReluDense",
}
"""Where a feed-forward block ends, and the module that its input goes into."""


def attention(
    module: nn.Module,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    **options: object,
) -> tuple[Tensor, None]:
    """softmax(q [g·K; k]ᵀ) [g·V; v], where no mask and no position concerns the prefix."""
    group, scale = q.shape[1] // k.shape[1], options.get("scaling") or q.shape[-1] ** -0.5
    keys, values = (each.repeat_interleave(group, 1) for each in module.behind_gate)
    scores = q @ k.repeat_interleave(group, 1).mT * scale
    if isinstance(options.get("position_bias"), Tensor):
        scores = scores + options["position_bias"]
    if mask is None and options.get("is_causal", module.is_causal):
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    weights = torch.cat((q @ keys.mT * scale, scores), -1).softmax(-1)
    values = values.expand(len(v), -1, -1, -1)
    both = torch.cat((values, v.repeat_interleave(group, 1)), -2)
    return (weights @ both).transpose(1, 2), None


AttentionInterface.register(NAME, attention)
AttentionMaskInterface.register(NAME, sdpa_mask)


class Reference:
    """A model in double precision that computes what one with `SPEC` should, from its tensors."""

    def __init__(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        self.model = MODELS[name]().double()
        self.model.set_attn_implementation(NAME)
        self.tensors = tensors
        self.gates: dict[str, Tensor] = {}
        """[batch] by path."""
        self.inputs: dict[str, Tensor] = {}
        for path in sorted({key.rpartition(".gate.")[0] for key in tensors if ".gate." in key}):
            home, _, label = path.rpartition(".")
            {"lora": self._lora, "adapter": self._adapter, "prefix": self._prefix}[label](home)

    def output(self) -> Tensor:
        with torch.no_grad():
            return computed(self.model)

    def _gate(self, path: str, x: Tensor) -> Tensor:
        """mean over tokens of σ(wᵀx + b): [batch, 1, 1]."""
        weight, bias = (self.tensors[f"{path}.gate.{part}"] for part in ("weight", "bias"))
        value = (1 / (1 + torch.exp(-(x @ weight[0] + bias)))).mean(1)
        self.gates[path] = value
        return value[:, None, None]

    def _lora(self, home: str) -> None:
        a, b = (self.tensors[f"{home}.lora.{name}"] for name in "AB")

        def hook(_module: nn.Module, given: tuple[Tensor], y: Tensor) -> Tensor:
            return y + self._gate(f"{home}.lora", given[0]) * (given[0] @ a.T @ b.T)

        self.model.get_submodule(home).register_forward_hook(hook)

    def _adapter(self, home: str) -> None:
        number = next(part for part in home.split(".") if part.isdigit())
        source = INPUTS[home.replace(f".{number}.", ".{}.", 1)].format(number)
        t = {part: self.tensors[f"{home}.adapter.{part}"] for part in _BOTTLENECK}

        def note(_module: nn.Module, given: tuple[Tensor]) -> None:
            self.inputs[home] = given[0]

        def hook(_module: nn.Module, _given: object, y: Tensor) -> Tensor:
            x = self.inputs[home]
            hidden = (x @ t["down.weight"].T + t["down.bias"]).relu()
            change = hidden @ t["up.weight"].T + t["up.bias"]
            return y + self._gate(f"{home}.adapter", x) * change

        self.model.get_submodule(source).register_forward_pre_hook(note)
        self.model.get_submodule(home).register_forward_hook(hook)

    def _prefix(self, home: str) -> None:
        rows = [self.tensors[f"{home}.prefix.{name}"].transpose(0, 1) for name in "KV"]

        def note(module: nn.Module, given: tuple[Tensor, ...], named: Mapping[str, Tensor]) -> None:
            x = given[0] if given else named["hidden_states"]
            gate = self._gate(f"{home}.prefix", x)[..., None]
            module.behind_gate = [gate * part for part in rows]

        self.model.get_submodule(home).register_forward_pre_hook(note, with_kwargs=True)


_BOTTLENECK = ("down.weight", "down.bias", "up.weight", "up.bias")
