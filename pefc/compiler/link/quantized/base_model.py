"""Base models read from a folder, whose weights are quantized on their way in as a spec says."""

import os
from collections import Counter

from torch import nn

from ....dsl.checked import Checked, Quantization
from ....dsl.diagnostics.model_files import NotAReference
from ....dsl.diagnostics.quantize_statement import NotFiniteWeight
from ....dsl.diagnostics.report import SpecError
from ....runtime import quantized
from ....runtime.change import Change
from ....runtime.quantized.form import is_packed
from ...model import is_folder, read_model
from ...plan import Plan, by_statement, plan
from .hf_quantizer import all_but, config_of, declare, declared
from .modules import packed_modules, put, with_modules


def base(reference: object, checked: Checked, **options: object) -> nn.Module:
    """The model that a reference means as a spec wants its base: with weights, quantized one by one
    as they are read, so that no more than one of them is there in floating point.

    Transformers reads one form of weights so: the one that most have. Weights of another form, and
    those of models that a function makes, are quantized once the model is there. `options` are
    those of `from_pretrained`. Raises SpecError where the spec does not fit the model.
    """
    if not isinstance(reference, str | os.PathLike):
        raise SpecError([NotAReference(type(reference).__name__, isinstance(reference, nn.Module))])
    name = os.fspath(reference)
    if not any(isinstance(step, Quantization) for step in checked.steps):
        return read_model(name, weights=True, **options)
    if is_folder(name) and "quantization_config" not in options:
        options = {**options, **_options(name, checked)}
    model = read_model(name, weights=True, **options)
    made = plan(checked, model)
    _check_values(made, model)
    modules, change = packed_modules(made, model), Change()
    put(change, model, modules)
    declare(change, model, with_modules(model, modules))
    change.commit()
    return model


def _options(reference: str, checked: Checked) -> dict[str, object]:
    """How transformers quantizes what it reads; what a folder says by itself, it knows."""
    empty = read_model(reference)
    made = plan(checked, empty)
    forms = Counter(packing.form for packing in made.packings if not packing.is_there)
    if not forms or declared(empty):
        return {}
    form, _ = forms.most_common(1)[0]
    paths = [packing.site.path for packing in made.packings if packing.form == form]
    return {"quantization_config": config_of(form, all_but(paths, empty))}


def _check_values(made: Plan, model: nn.Module) -> None:
    """Raise SpecError where what was read was not finite: its scales show it."""
    mistakes = [
        NotFiniteWeight(packing.span, packing.site.path)
        for packing in made.packings
        if packing.is_there and not _is_finite(model.get_submodule(packing.site.path))
    ]
    if mistakes:
        raise SpecError(by_statement(mistakes))


def _is_finite(module: nn.Module) -> bool:
    return not is_packed(module) or quantized.read.has_finite_scales(module)
