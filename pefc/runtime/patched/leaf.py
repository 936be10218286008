"""A module that runs its own forward with the parameters of a task in the place of its own."""

from collections.abc import Callable, Mapping
from functools import wraps

from torch import Tensor, nn

from ..calls import Variants
from ..tasks import RowCall


def leaf_names(
    base: type[nn.Module], variants: Variants[Callable[..., Tensor]], names: tuple[str, ...]
) -> dict[str, object]:
    """The names of a subclass of `base` whose patch, (module, call, x), calls the module with
    values for the parameters of these names.
    """

    @wraps(base.forward)
    def forward(self: nn.Module, *args: object, **kwargs: object) -> object:
        patch = variants.of(self)
        assert patch is not None
        x = next(value for value in (*args, *kwargs.values()) if isinstance(value, Tensor))

        def call(*values: Tensor, rows: Tensor | None = None) -> Tensor:
            def of_rows(value: object) -> object:
                is_batch = isinstance(value, Tensor) and value.shape[:1] == x.shape[:1]
                return value.index_select(0, rows) if is_batch and rows is not None else value  # pyright: ignore[reportAttributeAccessIssue]

            module = _with(self, base, dict(zip(names, values, strict=True)))
            own = {name: of_rows(value) for name, value in kwargs.items()}
            return base.forward(module, *map(of_rows, args), **own)

        return patch(self, RowCall(call), x)

    return {"forward": forward}


def _with(module: nn.Module, base: type[nn.Module], values: Mapping[str, Tensor]) -> nn.Module:
    """What a forward takes for its module: one with other parameters. The module itself is not
    touched, so that calls may overlap.
    """
    shell = base.__new__(base)
    shell.__dict__.update(module.__dict__)
    shell.__dict__["_parameters"] = {**module._parameters, **values}
    return shell
