"""The base weights that a spec keeps in few bits: which ones, in what form, and what stands against
it.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from torch import nn

from ...dsl.checked import Quantization
from ...dsl.diagnostics.quantization import (
    DoubleInt8,
    NoQuantizer,
    OtherForm,
    QuantizedTwice,
    SharedQuantize,
)
from ...dsl.diagnostics.quantize_statement import ComputeInt8, KeptFloating
from ...dsl.diagnostics.report import Diagnostic, SpecError
from ...dsl.syntax.source import Span
from ...runtime.quantized import missing
from ...runtime.quantized.form import DTYPES, Form, dtype, form
from ..lower import LinearFacts
from ..model import Site, SiteTable
from .placement import Place
from .plan import Floating, Packing


def plain_bytes(packing: Packing, model: nn.Module) -> int:
    """What the weight takes in floating point: of one that arrived quantized, what it took."""
    module = model.get_submodule(packing.site.path)
    kind = dtype(module) if packing.is_there else module.get_parameter("weight").dtype
    width = 4 if kind is None else kind.itemsize
    return width * (packing.site.inputs or 0) * (packing.site.outputs or 0)


def kept_bytes(packing: Packing) -> int:
    """What it takes in its few bits, scales included."""
    return packing.form.bytes(packing.site.inputs or 0, packing.site.outputs or 0)


@dataclass(slots=True)
class Quantizing:
    """Collects the weights that statements quantize, before anything else is planned."""

    model: nn.Module
    names: Mapping[int, list[str]]
    """Every name of each parameter, by its `id`; tied ones have several."""
    packings: dict[str, Packing] = field(default_factory=dict)

    def take(self, step: Quantization, sites: tuple[Site, ...]) -> None:
        """Quantize the weights of sites. Raises SpecError with every one that cannot be."""
        wanted, kept = _form(step), _kept_floating(self.model)
        mistakes: list[Diagnostic] = []
        for site in {site.path: replace(site, slice=None) for site in sites}.values():
            try:
                self._pack(step, site, wanted, kept)
            except SpecError as error:
                mistakes += error.diagnostics
        if mistakes:
            raise SpecError(mistakes[:1] if _are_alike(mistakes) else mistakes)

    def packed(self, where: Place, path: str) -> Place:
        """The place of a linear map as it is once its weight is quantized."""
        packing = self.packings.get(path)
        if packing is None or not isinstance(where.facts, LinearFacts):
            return where
        bits = 8 if packing.form.format == "int8" else 4
        return replace(where, facts=replace(where.facts, transposed=False, packed=bits))

    def floating(self, table: SiteTable) -> tuple[Floating, ...]:
        """The linear maps that no statement quantizes, where some does."""
        linear = {
            site.path: replace(site, slice=None) for site in table.sites if site.kind == "linear"
        }
        left = [site for path, site in linear.items() if path not in self.packings]
        return tuple(Floating(site, self._tied(site.path)) for site in left if self.packings)

    def _tied(self, path: str) -> str | None:
        """Another module with the same weight."""
        weight = self.model.get_submodule(path)._parameters.get("weight")
        names = [name.rpartition(".")[0] for name in self.names.get(id(weight), ())]
        return next((other for other in names if other != path), None)

    def _pack(self, step: Quantization, site: Site, wanted: Form, kept: AbstractSet[str]) -> None:
        place = place_of(step)
        earlier = self.packings.get(site.path)
        if earlier is not None:
            raise SpecError([QuantizedTwice(place, site.path, earlier.span)])
        module = self.model.get_submodule(site.path)
        found = form(module)
        if found is not None and found != wanted:
            raise SpecError([OtherForm(place, site.path, str(found), str(wanted))])
        other = self._tied(site.path)
        if found is None and other is not None:
            raise SpecError([SharedQuantize(place, site.path, other)])
        keeps = not kept.isdisjoint(site.path.split("."))
        if found is None and wanted.format != "int8" and keeps:
            raise SpecError([KeptFloating(place, site.path, type(self.model).__name__)])
        self.packings[site.path] = Packing(site, wanted, found is not None, step.span)


def place_of(step: Quantization) -> Span:
    """The selection, where one is written."""
    return step.span if step.selection is None else step.selection.span


def _form(step: Quantization) -> Form:
    if missing("bitsandbytes"):
        raise SpecError([NoQuantizer(step.span)])
    given = dict(step.arguments)
    kind, double = given.get("format", "nf4"), bool(given.get("double", False))
    if kind == "int8":
        if double:
            raise SpecError([DoubleInt8(step.span)])
        if "compute" in given:
            raise SpecError([ComputeInt8(step.span)])
        return Form("int8", double=False, compute=None)
    return Form(kind, double, DTYPES[str(given.get("compute", "bf16"))])  # pyright: ignore[reportArgumentType]


def _kept_floating(model: nn.Module) -> AbstractSet[str]:
    """The parts of paths of which the classes of transformers say that modules keep their dtype."""
    return {
        name
        for module in model.modules()
        for name in getattr(module, "_keep_in_fp32_modules", None) or ()
    }


def _are_alike(mistakes: list[Diagnostic]) -> bool:
    return len({type(mistake) for mistake in mistakes}) == 1
