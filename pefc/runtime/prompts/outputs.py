"""What a stem returns, without the new tokens: the shapes that it would have without them."""

from collections.abc import Callable

from torch import Tensor, nn
from transformers.utils.generic import ModelOutput

_STATES = ("last_hidden_state", "hidden_states")
_WEIGHTS = ("attentions", "cross_attentions")
_ROUTERS = ("router_logits",)


def trim(module: nn.Module, output: ModelOutput, length: int, tokens: int) -> None:
    """Cut the new tokens off the states of a first call, `tokens` with them, and pool the rest."""
    states = output["last_hidden_state"]
    if states.shape[1] != tokens:
        raise ValueError(f"{type(module).__name__} has states that are not of one token each")
    for name in _STATES:
        _change(output, name, lambda states: states[:, length:])
    for name in _WEIGHTS:
        _change(output, name, lambda weights: weights[..., length:, :])
    for name in _ROUTERS:
        _change(output, name, lambda logits: _routed(logits, states.shape[0], length))
    if output.get("pooler_output") is not None:
        output["pooler_output"] = _pooled(module, output["last_hidden_state"])


def unsee(output: ModelOutput, length: int, offsets: list[int]) -> None:
    """Cut the new tokens off what the attention weights of a call look at: all of them, but for
    those that a sliding window has left behind.
    """
    weights = output.get("attentions")
    if not isinstance(weights, tuple):
        return
    passed = offsets if len(offsets) == len(weights) else [0] * len(weights)
    output["attentions"] = tuple(
        one if one is None else one[..., max(0, length - before) :]
        for one, before in zip(weights, passed, strict=True)
    )


def _change(output: ModelOutput, name: str, change: Callable[[Tensor], Tensor]) -> None:
    value = output.get(name)
    if isinstance(value, Tensor):
        output[name] = change(value)
    elif isinstance(value, tuple):
        output[name] = tuple(change(one) if isinstance(one, Tensor) else one for one in value)


def _routed(logits: Tensor, rows: int, length: int) -> Tensor:
    """The choices of experts, whose rows are the tokens of the batch, flattened or not."""
    if logits.ndim > 2:
        return logits[:, length:]
    return logits.unflatten(0, (rows, -1))[:, length:].flatten(0, 1)


def _pooled(module: nn.Module, states: object) -> Tensor:
    """What the pooler makes of the text alone. A pooler that is a bare linear map reads the first
    token, through the activation that its model has.
    """
    pooler = getattr(module, "pooler", None)
    if not isinstance(pooler, nn.Module):
        raise _unknown(module)
    if not isinstance(pooler, nn.Linear):
        return pooler(states)
    activation = getattr(module, "pooler_activation", None) or getattr(module, "activation", None)
    if activation is None:
        raise _unknown(module)
    return activation(pooler(states[:, 0]))  # pyright: ignore[reportIndexIssue]


def _unknown(module: nn.Module) -> ValueError:
    return ValueError(f"{type(module).__name__} pools in a way that a prompt would change")
