"""The bytes of tensors that are alive while something runs, and the most there were at once."""

import weakref
from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Live(TorchDispatchMode):
    """Counts each storage once, from the operation that makes it until nothing refers to it: what
    operations return and what is saved for gradients, not the room that kernels take for
    themselves. It works on tensors with values and on fake ones alike.

    What is `resident` is there before and after, and not counted.
    """

    def __init__(self, resident: Iterable[Tensor]) -> None:
        super().__init__()
        self.now = 0
        self.peak = 0
        self._seen: dict[int, object] = {
            storage._cdata: storage for storage in (tensor.untyped_storage() for tensor in resident)
        }
        """What is counted, or is not to be: while it lives, no other storage has its address."""

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._count(leaf.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen:
            return

        def gone(_: object) -> None:
            del self._seen[key]
            self.now -= size

        self._seen[key] = weakref.ref(storage, gone)
        self.now += size
        self.peak = max(self.peak, self.now)
