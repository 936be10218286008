"""A head with methods on it: whether a call runs it, or multiplies by its weight past them."""

import torch
from torch import nn


def asking_names(base: type[nn.Module]) -> dict[str, object]:
    """The names of a subclass of the class of a model that sees, while it trains, whether a call
    has run its head, and else calls its `pefc_passed_by`.
    """

    def call(self: nn.Module, *args: object, **kwargs: object) -> object:
        if not self.training or torch.compiler.is_compiling() or torch.compiler.is_exporting():
            return base.__call__(self, *args, **kwargs)
        runs: list[object] = []
        head: nn.Module = self.get_output_embeddings()  # pyright: ignore[reportCallIssue, reportAssignmentType]
        noting = head.register_forward_pre_hook(lambda *_: runs.append(None))
        try:
            result = base.__call__(self, *args, **kwargs)
        finally:
            noting.remove()
        if not runs:
            self.pefc_passed_by(self)  # pyright: ignore[reportCallIssue]
        return result

    return {"__call__": call}
