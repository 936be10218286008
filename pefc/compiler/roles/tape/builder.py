"""Writing: the operations of a run become the nodes of a tape."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor
from torch._ops import OpOverload
from torch.utils._pytree import tree_leaves, tree_map_only

from .tape import Call, Node, Product, Reference


@dataclass
class Writer:
    """What is written while a model runs."""

    nodes: list[Node] = field(default_factory=list)
    scope: list[str] = field(default_factory=lambda: [""])
    paused: bool = False
    calls: list[Call] = field(default_factory=list)
    products: list[Product] = field(default_factory=list)
    known: dict[int, int] = field(default_factory=dict)
    """id of a tensor -> the node that holds its value now."""
    views: dict[int, list[Tensor]] = field(default_factory=dict)
    """id of a storage -> the tensors that look at it; holding them keeps every id valid."""

    def leaf(self, tensor: Tensor, operation: str, name: str | None) -> int:
        if id(tensor) in self.known:
            return self.known[id(tensor)]
        return self._append(tensor, operation, (), {}, name=name)

    def write(
        self, operation: OpOverload | str, args: tuple, kwargs: Mapping[str, object], output: object
    ) -> None:
        arguments = tree_map_only(Tensor, self._reference, args)
        keywords = tree_map_only(Tensor, self._reference, dict(kwargs))
        before = {id(tensor) for tensor in tensors((args, kwargs))}
        for result, tensor in enumerate(tensors(output)):
            self._append(tensor, operation, arguments, keywords, result=result)
            if id(tensor) in before:
                self._update_aliases(tensor)

    def _reference(self, tensor: Tensor) -> Reference:
        return Reference(self.leaf(tensor, "constant", None))

    def _append(
        self,
        tensor: Tensor,
        operation: OpOverload | str,
        arguments: tuple,
        keywords: dict,
        *,
        result: int = 0,
        name: str | None = None,
    ) -> int:
        references = [
            leaf for leaf in tree_leaves((arguments, keywords)) if isinstance(leaf, Reference)
        ]
        node = Node(
            len(self.nodes),
            operation,
            arguments,
            tuple(keywords.items()),
            tuple(reference.node for reference in references),
            tuple(tensor.shape),
            tensor.is_floating_point(),
            self.scope[-1],
            result,
            name,
            getattr(tensor, "constant", None),
        )
        self.nodes.append(node)
        self.known[id(tensor)] = node.index
        self.views.setdefault(tensor.untyped_storage()._cdata, []).append(tensor)
        return node.index

    def _update_aliases(self, changed: Tensor) -> None:
        """An operation in place changes every tensor that looks at the same storage."""
        value = self.known[id(changed)]
        seen = {id(changed)}
        for other in tuple(self.views[changed.untyped_storage()._cdata]):
            if id(other) not in seen:
                seen.add(id(other))
                old, new = Reference(self.known[id(other)]), Reference(value)
                self._append(other, "update", (old, new, _geometry(other), _geometry(changed)), {})


def _geometry(tensor: Tensor) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    return tuple(tensor.shape), tensor.stride(), int(tensor.storage_offset())


def tensors(tree: object) -> list[Tensor]:
    """Every tensor of a tree."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
