"""The functions that users call with a spec and a model. What they do lives in the compiler.

An argument of a wrong type is a TypeError, one that is out of range a ValueError, before anything
else; a mistake in a spec, or between it and a model, is a SpecError.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal, TypeVar

from torch import nn

from .. import compiler
from ..compiler.link import Program, tokenize_with
from ..compiler.merge import TOLERATED
from ..compiler.model import check_flag, check_path, check_rows, check_spec, check_task, model_in
from ..compiler.plan import Plan, is_attached
from ..dsl.checked import Checked, Value
from ..dsl.diagnostics.warn import warn
from ..dsl.syntax.statement import Spec
from .arguments import checked_spec

Model = TypeVar("Model", bound=nn.Module)
_NONE: Mapping[str, Value] = {}


def plan(
    spec: Spec | Checked | str, model: nn.Module, *, params: Mapping[str, Value] = _NONE
) -> Plan:
    """What a spec would do to a model, site by site; the model is untouched.

    Args:
        spec: a spec as `parse` or `read` gives it, or its text.
        model: any module; its weights are not read, so a model on the `meta` device will do.
        params: values for the `param`s of the spec.

    Raises:
        SpecError: with every mistake of the spec, and every selector term that matches nothing.
    """
    check_spec(spec)
    compiler.check_own(model, "plan")
    return compiler.plan(checked_spec(spec, params), model)


def base(
    spec: Spec | Checked | str,
    reference: str | Path,
    *,
    params: Mapping[str, Value] = _NONE,
    **options: object,
) -> nn.Module:
    """The model of a folder or hub id as a spec wants its base: what `quantize` names is quantized
    weight by weight as it is read, so that the model never is in memory in floating point.

    `pefc.apply` of the same spec then finds it so, and attaches the rest.

    Args:
        spec: a spec as `parse` or `read` gives it, or its text.
        reference: a folder of transformers, a hub id, or `package.module:function`.
        params: values for the `param`s of the spec.
        options: of `from_pretrained`, such as `dtype`.

    Raises:
        SpecError: with every mistake of the spec, and where the reference leads nowhere.
    """
    return compiler.base(reference, checked_spec(spec, params), **options)


def compile(
    spec: Spec | Checked | str,
    model: nn.Module,
    *,
    params: Mapping[str, Value] = _NONE,
    tokenizer: object = None,
) -> Program:
    """Plan and lower a spec: `.plan`, `.graph` (the rewritten `fx.GraphModule`), `.apply()`.

    Args:
        spec: a spec as `parse` or `read` gives it, or its text.
        model: any module.
        params: values for the `param`s of the spec.
        tokenizer: of transformers, or a function from a text to token ids; needed only where a
            tensor starts from a text, as in `prompt(init="…")`.

    Raises:
        SpecError: with every mistake; the model is untouched.
    """
    check_spec(spec)
    compiler.check_own(model, "compile")
    return compiler.compiled(checked_spec(spec, params), model, tokenize_with(tokenizer))


def apply(
    spec: Spec | Checked | str,
    model: Model,
    *,
    params: Mapping[str, Value] = _NONE,
    tokenizer: object = None,
) -> Model:
    """Attach a spec to a model, in place, and return the same object. All or nothing.

    Afterwards only what the spec names trains. New tensors stand on the device of the weight beside
    them, have 32 bits if the spec says nothing else, and are children of its module: `lora on
    attn.q` gives `….q_proj.lora.A`.

    Args:
        spec: a spec as `parse` or `read` gives it, or its text.
        model: any module.
        params: values for the `param`s of the spec.
        tokenizer: as for `compile`.

    A model that carries a spec takes more tasks: a spec of nothing but `task NAME { … }` adds them
    beside what is there.

    Raises:
        SpecError: with every mistake; the model is then bit for bit and flag for flag as it was.
    """
    check_spec(spec)
    compiler.check_alone(model, "apply")
    checked = checked_spec(spec, params, compiler.task_names(model))
    if is_attached(model) and compiler.is_of_tasks(checked):
        compiler.add(checked, model, tokenize_with(tokenizer))
    else:
        compile(checked, model, tokenizer=tokenizer).apply()
    return model


def save(
    model: nn.Module, folder: str | Path, *, resume: bool = False, task: str | None = None
) -> None:
    """Write the adapter alone: `spec.peft`, `plan.json`, `adapter.safetensors`.

    A crash leaves the old adapter or the new one.

    Args:
        model: a model with a spec applied. One that `fully_shard` has spread over processes is
            saved by all of them together: each calls this, the first writes.
        folder: where to; an adapter that is there is replaced.
        resume: keep the networks that compute prefixes and prompts, and what allocates ranks, so
            that training can go on. By default what networks compute is written in their place, and
            tensors are cut to the ranks that are left: it gives the same outputs.
        task: write this task alone.

    Raises:
        SpecError: nothing is attached to the model, or it has no such task.

    Warns:
        UserWarning: ranks are still to be allocated, and `resume` is not set, or the adapter holds
            numbers that are not finite.
    """
    check_path("folder", folder)
    check_flag("resume", resume)
    check_task("task", task)
    for found in compiler.save(model_in(model), Path(folder), resume=resume, task=task):
        warn(found)


def load(
    model: Model, folder: str | Path, *, task: str | None = None, other_base: bool = False
) -> Model:
    """Apply a saved adapter to a model, in place, and return the same object. All or nothing.

    Args:
        model: a copy of the base that the adapter was made for.
        folder: what `save` wrote.
        task: load the adapter as a task of this name, beside what is there. Over a task of the
            same form only numbers change, so that nothing is compiled anew.
        other_base: the model may be another base, if the tensors fit; a warning says how far it is
            off.

    Raises:
        SpecError: the folder is damaged, the base is another one, or a tensor is missing, extra or
            misshapen.

    Warns:
        UserWarning: the base is another one, and `other_base` is set, or the adapter holds numbers
            that are not finite.
    """
    compiler.check_alone(model, "load")
    check_path("folder", folder)
    check_task("task", task)
    check_flag("other_base", other_base)
    if task is None:
        found = compiler.load(model, Path(folder), other_base=other_base)
    else:
        found = compiler.load_task(model, Path(folder), task, other_base=other_base)
    for each in found:
        warn(each)
    return model


def set_task(model: Model, name: str | None) -> Model:
    """Let one task run for all rows of every batch; None for the base with what belongs to none.

    Raises:
        SpecError: the model has no such task.
    """
    check_task("name", name)
    compiler.set_task(model_in(model), name)
    return model


def tasks(model: nn.Module, names: Iterable[str | None]) -> AbstractContextManager[None]:
    """`with pefc.tasks(model, ["sst", "mnli", "sst"]): …` lets row i of every batch belong to task
    `names[i]`, in training, inference and `generate`.

    Raises:
        SpecError: the model has no such task. A batch with another number of rows is a ValueError
            when it comes.
    """
    return compiler.tasks(model_in(model), check_rows(names))


def task_names(model: nn.Module) -> tuple[str, ...]:
    """The tasks of a model, in the order in which they came."""
    return compiler.task_names(model_in(model))


def merge(
    model: Model,
    *,
    keep_base: bool = False,
    loss: float = TOLERATED,
    into: Literal["bf16", "fp16", "fp32"] | None = None,
    requantize: bool = False,
) -> Model:
    """Fold everything attached into the base weights and leave no trace.

    Args:
        model: a model with a spec applied.
        keep_base: keep copies of what changes, so that `remove` restores the base exactly.
        loss: the largest share of an update, ‖kept − update‖ / ‖update‖, that may be lost to the
            weight's dtype.
        into: the dtype that the whole model takes; quantized weights become plain ones, the values
            that the model computes with and the updates, also where nothing is attached to them.
        requantize: round sums into quantized weights, and warn of what that lost.

    Raises:
        SpecError: a method is not affine in x, a weight is tied, a bias is missing, too much would
            be lost, or a weight is quantized and neither `into` nor `requantize` is given; the
            model is then as it was.
        ValueError: `into` is no dtype that is known, or given with `keep_base` or `requantize`;
            `loss` is negative or NaN.
        TypeError: `loss` is no number, or `requantize` neither true nor false.

    Warns:
        UserWarning: rounding into quantized weights lost a part of an update, or ranks are still to
            be allocated.
    """
    wish = compiler.wish(keep_base=keep_base, loss=loss, into=into, requantize=requantize)
    compiler.check_alone(model, "merge")
    for found in compiler.merge(model, wish):
        warn(found)
    return model


def remove(model: Model, *, task: str | None = None) -> Model:
    """Take everything attached out again: weights bit for bit and `requires_grad` flag for flag as
    before. With `task`, take that one out; the others stay as they are.

    Raises:
        SpecError: nothing is attached, it was merged without `keep_base`, or there is no such task.
    """
    compiler.check_alone(model, "remove")
    check_task("task", task)
    if task is None:
        compiler.remove(model)
    else:
        compiler.drop(model, task)
    return model
