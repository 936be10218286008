"""Rewriting: what each tensor of a base in a folder becomes with an adapter in it, worked out when
its turn to be written comes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from ....dsl.diagnostics.quantize_statement import NotFiniteWeight
from ....dsl.diagnostics.report import SpecError
from ....runtime import quantized
from ....runtime.files import Entry, New, Shard, as_given, copied, of_numbers
from ....runtime.quantized.form import form
from ...link import Patches
from ...model import is_transposed, was_transposed
from ...plan import Packing, Patched, Plan
from ..base_weight import HeldWeight, PackedWeight, Weight
from ..merged_module import Cost, fold_bias
from ..merged_weight import Loss, Sums
from ..options import Wish
from ..rounding import Pieces, in_order, pieces, requantized, rounded, turned
from .base_folder import Stored


@dataclass(slots=True)
class Rewriting:
    """Works out one tensor after the other, and notes what is lost."""

    stored: Stored
    plan: Plan
    values: Mapping[str, Tensor]
    """Of the adapter, by path in the model."""
    buffers: frozenset[str]
    """Those of the base among them."""
    wish: Wish
    patches: Patches = field(default_factory=Patches)
    costs: dict[str, Cost] = field(default_factory=dict)
    """By the path of a module."""
    folded: Mapping[str, Patched] = field(init=False)
    """The modules with methods, by the first names of their parameters."""
    packings: Mapping[str, Packing] = field(init=False)
    """What the adapter quantizes, by the first name of the weight."""
    _made: dict[str, nn.Linear] = field(default_factory=dict)
    """The quantized modules, before and after, at the last path: more than one tensor is made of
    them.
    """

    def __post_init__(self) -> None:
        model, names = self.stored.model, self.stored.names
        self.folded = {
            names[id(parameter)]: patched
            for patched in self.plan.modules
            for parameter in model.get_submodule(patched.path).parameters(recurse=False)
        }
        self.packings = {
            self.stored.name(packing.site.path, "weight"): packing
            for packing in self.plan.packings
            if not packing.is_there
        }

    @property
    def changed(self) -> frozenset[str]:
        """The first names of the parameters and buffers that do not stay as they are."""
        tuned = (tuned.name for tuned in self.plan.tuned)
        return frozenset((*self.folded, *self.packings, *tuned, *self.buffers))

    def tensors(self, shard: Shard) -> Iterator[New]:
        """What is written in the place of a file."""
        bits = self.stored.bits
        owners = {inner: name for name, found in bits.items() for inner in found.beside}
        for entry in shard.entries:
            owner = owners.get(entry.name, entry.name)
            if owner not in bits:
                yield self._number(shard, entry)
            elif self.wish.into is None:
                yield self._bits(shard, entry, owner)
            elif owner == entry.name:
                yield self._plain(entry, self.wish.into)

    def _number(self, shard: Shard, entry: Entry) -> New:
        """A parameter in floating point, a buffer, or what is none."""
        name = self.stored.firsts.get(entry.name, entry.name)
        if name in self.buffers and entry.dtype is None:
            return as_given(entry, lambda: self.values[name], is_open=False)
        dtype = self.wish.into if entry.dtype is not None and self.wish.into else entry.dtype
        if dtype is None or (name not in self.changed and dtype == entry.dtype):
            return copied(shard, entry)

        def parts() -> Iterator[Tensor]:
            if name in self.folded:
                return self._folded(self.folded[name], name, dtype)
            if name in self.packings:
                return self._rows(self.packings[name].site.path)
            return iter((self.values[name],)) if name in self.changed else shard.numbers(entry)

        return of_numbers(entry.name, dtype, entry.shape, parts)

    def _plain(self, entry: Entry, dtype: torch.dtype) -> New:
        """A weight that was stored in few bits, in floating point."""
        name = self.stored.firsts[entry.name]
        path = name.rpartition(".")[0]
        module = self.stored.model.get_submodule(path)
        outputs, inputs = module.out_features, module.in_features
        shape = (inputs, outputs) if self._is_turned(path) else (outputs, inputs)

        def parts() -> Iterator[Tensor]:
            patched = self.folded.get(name)
            return self._rows(path) if patched is None else self._folded(patched, name, dtype)

        return of_numbers(entry.name, dtype, shape, parts)  # pyright: ignore[reportArgumentType]

    def _bits(self, shard: Shard, entry: Entry, owner: str) -> New:
        """A tensor of a weight that stays in few bits."""
        patched = self.folded.get(self.stored.firsts[owner])
        if patched is None or quantized.saved.is_layout(entry.name):
            return copied(shard, entry)

        def state() -> Tensor:
            made = self._after(patched)
            return quantized.saved.state_tensors(made, owner)[entry.name]

        return as_given(entry, state, is_open=quantized.saved.is_state(entry.name))

    def _folded(self, patched: Patched, name: str, dtype: torch.dtype) -> Iterator[Tensor]:
        path = patched.path
        if name != self.stored.name(path, "weight"):
            yield self._bias(patched)
        elif self._before(path) is not None and self.wish.into is None:
            yield from self._in_file(path, PackedWeight(self._after(patched)))
        else:
            loss, sums = Loss(), self._sums(patched)
            yield from self._in_file(path, sums.weight, rounded(sums, dtype, loss))
            self._note(Cost(patched, loss.share, dtype), sums)

    def _rows(self, path: str) -> Iterator[Tensor]:
        """The values of a quantized weight that no method changes."""
        return self._in_file(path, self._weight(path))

    def _in_file(self, path: str, weight: Weight, parts: Pieces | None = None) -> Iterator[Tensor]:
        """The rows of a weight, in the layout of the module that the model has."""
        parts = pieces(weight) if parts is None else parts
        if self._is_turned(path):
            return in_order(turned(parts), weight.shape[::-1])
        return in_order(parts, weight.shape)

    def _bias(self, patched: Patched) -> Tensor:
        path = patched.path
        own = self._own(path, "bias")
        cost = self.costs.get(path, Cost(patched, 0.0, own.dtype))
        bias, self.costs[path] = fold_bias(self._sums(patched), own, self.wish.into, cost)
        return own if bias is None else bias

    def _note(self, cost: Cost, sums: Sums) -> None:
        """Keep what a weight lost, and whether there is a constant without a place."""
        path = cost.patched.path
        if not sums.facts.bias:
            _, cost = fold_bias(sums, None, None, cost)
        before = self.costs.get(path, cost)
        self.costs[path] = replace(cost, lost=max(cost.lost, before.lost))

    def _sums(self, patched: Patched) -> Sums:
        tensors = dict(_tensors(patched, self.values))

        def read(path: str) -> object:
            return self._own(patched.path, path) if path == "bias" else tensors.get(path, False)

        return Sums(patched, self._weight(patched.path), read, self.patches)

    def _weight(self, path: str) -> Weight:
        module, name = self._before(path), self.stored.name(path, "weight")
        if module is not None:
            return PackedWeight(module)
        if name in self.values:
            return HeldWeight(self._own(path, "weight"))
        return self.stored.weight(name)

    def _own(self, path: str, name: str) -> Tensor:
        """A parameter of a module, with what the adapter brought in its place."""
        known = self.stored.name(path, name)
        if known in self.values:
            return self.values[known].to(self.stored.dtype(known))
        return self.stored.tensor(known)

    def _before(self, path: str) -> nn.Linear | None:
        """The quantized module on which the adapter was trained; None where it is a plain one."""
        packing = self.packings.get(self.stored.name(path, "weight"))
        if packing is None and not self.stored.is_packed(path):
            return None
        key = f"before {path}"
        if key not in self._made:
            self._made = {}
            self._made[key] = self.stored.packed(path) if packing is None else self._packed(packing)
        return self._made[key]

    def _after(self, patched: Patched) -> nn.Linear:
        """The same with the methods in it."""
        module, key = self._before(patched.path), f"after {patched.path}"
        assert module is not None
        if key not in self._made:
            loss, sums = Loss(), self._sums(patched)
            self._made[key] = _apart(requantized(module, sums, loss))
            self._note(Cost(patched, loss.share, sums.weight.dtype, form(module)), sums)
        return self._made[key]

    def _packed(self, packing: Packing) -> nn.Linear:
        """A plain weight of the base, as the adapter quantizes it."""
        path = packing.site.path
        module = self.stored.model.get_submodule(path)
        weight = self.stored.weight(self.stored.name(path, "weight"))
        parts = turned(pieces(weight, -1)) if is_transposed(module) else pieces(weight)
        shape = weight.shape[::-1] if is_transposed(module) else weight.shape
        rows = _finite(packing, in_order(parts, shape))
        return _apart(quantized.pack.packed_rows(module, packing.form, shape, rows))

    def _is_turned(self, path: str) -> bool:
        """Whether the model has a weight as [in, out] that is quantized as [out, in]."""
        module = self.stored.model.get_submodule(path)
        name = self.stored.name(path, "weight")
        return was_transposed(module) or (name in self.packings and is_transposed(module))


def _finite(packing: Packing, parts: Iterator[Tensor]) -> Iterator[Tensor]:
    for part in parts:
        if not part.isfinite().all():
            raise SpecError([NotFiniteWeight(packing.span, packing.site.path)])
        yield part


def _apart(module: nn.Linear) -> nn.Linear:
    """A module that goes when nobody needs it: the weights of bitsandbytes hold their modules."""
    module.weight.module = None  # pyright: ignore[reportAttributeAccessIssue]
    return module


def _tensors(patched: Patched, saved: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """What the patch of a module reads of its methods, by paths from the module."""
    for planned in patched.members:
        prefix, rows = planned.member.prefix, planned.member.rows
        for tensor in planned.tensors:
            shared = "" if tensor.scope is None else "shared."
            yield f"{prefix}.{shared}{tensor.name}", saved[planned.path(tensor)]
        if rows is not None and len(rows) > 1:
            numbers = torch.cat([torch.arange(start, stop) for start, stop in rows])
            yield f"{prefix}.rows", numbers
