"""A plan as the JSON that `pefc plan --json` prints and that an adapter folder keeps."""

from collections.abc import Mapping
from dataclasses import asdict
from math import prod

from ...dsl.checked import leaves
from ...runtime.quantized.form import DTYPES
from ..prove import Costs
from .plan import Floating, Packing, Plan, Planned
from .quantization import kept_bytes


def report(plan: Plan) -> dict[str, object]:
    """The plan as plain data; shapes are lists, spans are `file:line:column`, statements count from
    0, those inside of `gate` and `adapterdrop` in their place.
    """
    numbers = {id(step): number for number, step in enumerate(leaves(plan.checked.steps))}
    return {
        "model": plan.model,
        "trainable": plan.trainable,
        "total": plan.total,
        "quantized": [_packing(packing) for packing in plan.packings],
        "floating": [_floating(each) for each in plan.floating],
        "attachments": [_attachment(planned, numbers) for planned in plan.attachments]
        + [_tuned(index, plan) for index in range(len(plan.tuned))],
        "terms": [{"text": term.text, "matched": term.matched} for term in plan.terms],
    }


def _packing(packing: Packing) -> dict[str, object]:
    compute = {dtype: name for name, dtype in DTYPES.items()}.get(packing.form.compute)  # pyright: ignore[reportArgumentType, reportCallIssue]
    return {
        "site": packing.site.path,
        "format": packing.form.format,
        "double": packing.form.double,
        "compute": compute,
        "bytes": kept_bytes(packing),
        "bias": packing.site.bias,
        "there": packing.is_there,
        "span": str(packing.span),
    }


def _floating(floating: Floating) -> dict[str, object]:
    site = floating.site
    return {"site": site.path, "role": site.role, "bias": site.bias, "tied": floating.tied}


def _attachment(planned: Planned, numbers: Mapping[int, int]) -> dict[str, object]:
    return {
        "statement": numbers.get(id(planned.method.attachment)),
        "site": planned.site.path,
        "kind": planned.site.kind,
        "role": planned.site.role,
        "label": planned.label,
        "method": planned.method.attachment.method.name,
        "tensors": {planned.path(tensor): list(tensor.shape) for tensor in planned.stored},
        **({"lengths": dict(planned.method.lengths)} if planned.method.lengths else {}),
        "parameters": sum(prod(tensor.shape) for tensor in planned.tensors if not tensor.frozen),
        "identity": planned.verdict.identity.value,
        "merges": planned.merges,
        "costs": asdict(planned.verdict.costs),
        "span": str(planned.span),
    }


def _tuned(index: int, plan: Plan) -> dict[str, object]:
    tuned = plan.tuned[index]
    return {
        "statement": None,
        "site": tuned.site.path,
        "kind": tuned.site.kind,
        "role": tuned.site.role,
        "label": "tune",
        "method": "tune",
        "tensors": {tuned.name: [tuned.size]},
        "parameters": tuned.size,
        "identity": "exact",
        "merges": True,
        "costs": asdict(Costs(0)),
        "span": str(tuned.span),
    }
