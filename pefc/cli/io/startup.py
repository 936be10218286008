"""Commands that start quickly: what is a text already is taken as it is.

Typer converts each value with pydantic, whose import takes as long as checking a spec. That is left
to the values that have to be converted.
"""

from dataclasses import dataclass

from typer._click import Context
from typer._click.core import Parameter
from typer._coercion import RuntimeParam, build_runtime_param
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption, _TyperParameter

# Typer has no public place for this; the versions that are tested stand in constraints.txt.
# ruff: noqa: SLF001
# pyright: reportPrivateUsage=false


@dataclass(frozen=True)
class _AsItIs(RuntimeParam):
    """In the place of a parameter's conversion."""

    def _coerce_value(self, value: object, param: _TyperParameter, ctx: Context) -> object:
        match value:
            case str() if self.annotation is str:
                return value
            case tuple() if self.annotation == list[str]:
                return list(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
            case _ if isinstance(self.annotation, type) and isinstance(value, self.annotation):
                return value
            case _:
                return build_runtime_param(param.type_descriptor).coerce(value, param, ctx)


class QuickCommand(TyperCommand):
    """A command without conversions that change nothing."""

    def get_params(self, ctx: Context) -> list[Parameter]:
        return _quick(super().get_params(ctx))


class QuickGroup(TyperGroup):
    """A group of commands without conversions that change nothing."""

    def get_params(self, ctx: Context) -> list[Parameter]:
        return _quick(super().get_params(ctx))


def _quick(parameters: list[Parameter]) -> list[Parameter]:
    for parameter in parameters:
        is_known = isinstance(parameter, TyperArgument | TyperOption)
        if is_known and parameter._runtime_param is None:
            descriptor = parameter.type_descriptor
            parameter._runtime_param = _AsItIs(descriptor.parameter_info, descriptor.annotation)
    return parameters
