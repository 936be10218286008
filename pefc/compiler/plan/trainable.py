"""The model's own parameters that a spec lets train."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from torch import nn

from ...dsl.checked import Attachment, Tuning
from ...dsl.diagnostics.compiling import NoBias, NotCompiled, TiedTune
from ...dsl.diagnostics.quantization import QuantizedTune
from ...dsl.diagnostics.report import SpecError
from ...dsl.syntax.source import Span
from ...runtime.quantized.form import is_packed, size
from ..model import Site
from ..select import may_be_empty
from .plan import Tuned


@dataclass(slots=True)
class Training:
    """Collects the parameters that statements name."""

    model: nn.Module
    names: Mapping[int, list[str]]
    """Every name of each parameter, by its `id`; tied ones have several."""
    packings: Mapping[str, object]
    """By the path of a module whose weight the spec quantizes."""
    tuned: list[Tuned] = field(default_factory=list)

    def train(
        self, step: Attachment | Tuning, sites: tuple[Site, ...], names: tuple[str, ...]
    ) -> None:
        """Let the named parameters of sites train; of several names, all that a site has."""
        paths = {site.path: site for site in sites}
        for path, site in paths.items():
            if site.slice is not None:
                raise SpecError(
                    [NotCompiled(place_of(step), f"training rows of the fused `{path}`")]
                )
        for site, found in self.named(step, tuple(paths.values()), names):
            module = self.model.get_submodule(site.path)
            for name in found:
                self._tuned(step, site, module.get_parameter(name), paths)

    def named(
        self, step: Attachment | Tuning, sites: tuple[Site, ...], names: tuple[str, ...]
    ) -> Iterator[tuple[Site, tuple[str, ...]]]:
        """The parameters of each site that a statement names; raises SpecError where no site has
        any.
        """
        anything = False
        for site in sites:
            module = self.model.get_submodule(site.path)
            packed = site.path in self.packings or is_packed(module)
            if packed and "weight" in names:
                raise SpecError([QuantizedTune(place_of(step), site.path)])
            own = dict(module.named_parameters(recurse=False))
            found = tuple(n for n in (names if len(names) == 1 else own) if n in own)
            anything = anything or bool(found)
            if found:
                yield site, found
        if sites and not anything and not (step.selection and may_be_empty(step.selection)):
            raise SpecError([NoBias(place_of(step), sites[0].path)])

    def _tuned(
        self,
        step: Attachment | Tuning,
        site: Site,
        parameter: nn.Parameter,
        paths: Mapping[str, Site],
    ) -> None:
        """A tied parameter trains only where every module that uses it is named; it counts once, by
        its first name.
        """
        names = self.names[id(parameter)]
        others = [name.rpartition(".")[0] for name in names if name.rpartition(".")[0] not in paths]
        if others:
            raise SpecError([TiedTune(place_of(step), site.path, others[0])])
        if all(names[0] != tuned.name for tuned in self.tuned):
            self.tuned.append(Tuned(names[0], parameter.numel(), site, step.settings, step.span))


def parameter_names(model: nn.Module) -> dict[int, list[str]]:
    """Every name of each parameter; tied ones have several."""
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return names


def parameter_count(model: nn.Module) -> int:
    """The numbers that a model's parameters stand for, tied ones once."""
    packed = {id(m.weight): size(m) for m in model.modules() if is_packed(m)}
    sizes = {id(p): packed.get(id(p), p.numel()) for p in model.parameters()}
    return sum(sizes.values())


def place_of(step: Attachment | Tuning) -> Span:
    """The selection, where one is written."""
    return step.span if step.selection is None else step.selection.span
