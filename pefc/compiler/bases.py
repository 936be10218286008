"""Base models read from a folder, whose weights are quantized on their way in as a spec says."""

import re
from collections import Counter
from collections.abc import Sequence

from torch import nn
from transformers import BitsAndBytesConfig

from ..dsl.checked import Checked, Quantization
from ..runtime.quantized import Form
from .link.packing import packed_modules, put
from .models import is_folder, read_model
from .plan import Plan
from .planning import plan


def base(reference: str, checked: Checked, **options: object) -> nn.Module:
    """The model that a reference means as a spec wants its base: with weights, quantized one by one
    as they are read, so that no more than one of them is there in floating point.

    Transformers reads one form of weights so: the one that most have. Weights of another form, and
    those of models that a function makes, are quantized once the model is there. `options` are
    those of `from_pretrained`. Raises SpecError where the spec does not fit the model.
    """
    if not any(isinstance(step, Quantization) for step in checked.steps):
        return read_model(reference, weights=True, **options)
    if is_folder(reference):
        empty = plan(checked, read_model(reference))
        forms = Counter(packing.form for packing in empty.packings if not packing.is_there)
        if forms:
            form, _ = forms.most_common(1)[0]
            options["quantization_config"] = _config(form, _skipped(empty, form))
    model = read_model(reference, weights=True, **options)
    put(model, packed_modules(plan(checked, model), model))
    return model


def _skipped(made: Plan, form: Form) -> list[str]:
    """The linear maps that are not of the form that is read."""
    chosen = {packing.site.path for packing in made.packings if packing.form == form}
    linear = dict.fromkeys(site.path for site in made.table.sites if site.kind == "linear")
    return [path for path in linear if path not in chosen]


def _config(form: Form, skipped: Sequence[str]) -> BitsAndBytesConfig:
    names = [rf"{re.escape(path)}$" for path in skipped] or ["$"]
    if form.format == "int8":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=names)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=form.format,
        bnb_4bit_use_double_quant=form.double,
        bnb_4bit_compute_dtype=form.compute,
        llm_int8_skip_modules=names,
    )
