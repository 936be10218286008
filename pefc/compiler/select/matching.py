"""Picking: which sites of a kind a role, a path or a class of a table means."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from ...dsl.syntax.vocabulary import ROLES
from ..model import BlockPorts, Site, SiteTable
from .globs import matches

ANY = ("linear", "norm", "conv", "embedding")
"""The kinds that a method on `any` attaches to."""


@dataclass(frozen=True)
class Picker:
    """A table, read for one kind of site."""

    table: SiteTable
    kind: str

    def everywhere(self) -> tuple[Site, ...]:
        """What `all layers` means: every site of the kind inside the layers."""
        match self.kind:
            case "tokens":
                return (Site("", "tokens", None, None, None, self.table.model, None, None),)
            case "block":
                roles = ("attn", "xattn", "ffn")
                return tuple(
                    site for site in self.table.sites if site.kind == "block" and site.role in roles
                )
            case "attention":
                return self._products
            case "linear":
                return tuple(self._linear())
            case _:
                return tuple(
                    self._whole(path) for path in self._paths_of_kind if self._is_in_layers(path)
                )

    def role(self, name: str) -> tuple[Site, ...] | None:
        """The sites that a role means; None where it is no role of this model."""
        if name == "linear":
            return self._within_linear()
        rows = tuple(site for site in self.table.sites if site.role == name)
        if ROLES.get(name):
            return self._family(name, rows)
        if not rows:
            return None
        return tuple(found for row in rows for found in self._of_row(row))

    def paths(self, pattern: str) -> tuple[Site, ...] | None:
        """The sites of the modules whose path ends in a pattern; None where there is no such
        module.
        """
        found = [path for path in self._names if matches(pattern, path)]
        return self._of_modules(found) if found else None

    def closed(self, pattern: str, *, by_class: bool) -> tuple[str, str] | None:
        """The first of the modules that a pattern means, or of those inside them, which is no site
        although its class is that of a linear map, and why.
        """
        if self.kind not in {"linear", "any"}:
            return None
        named = [
            path
            for path, class_name in self.table.modules
            if (class_name == pattern if by_class else matches(pattern, path))
        ]
        for path, why in self.table.closed:
            if any(path == outer or _is_within(path, outer) for outer in named):
                return path, why
        return None

    def class_(self, name: str) -> tuple[Site, ...] | None:
        """The sites of the modules of a class; None where there is no such module."""
        found = [path for path, class_name in self.table.modules if class_name == name]
        if self.kind == "block":
            whole = [path for path in found if self._has_modules(path)]
            return self._of_modules(whole) if found else None
        return self._of_modules(found) if found else None

    def _family(self, name: str, rows: tuple[Site, ...]) -> tuple[Site, ...] | None:
        members = tuple(
            site for site in self.table.sites if (site.role or "").startswith(f"{name}.")
        )
        if not rows and not members:
            return None
        if self.kind == "block":
            return tuple(row for row in rows if row.kind == "block")
        if self.kind == "attention":
            return self._attentions(rows)
        blocks = self._of_modules([row.path for row in rows if row.path not in self._rows])
        chosen = {site.path for site in blocks}
        return (*blocks, *(site for site in self._of_members(members) if site.path not in chosen))

    def _of_members(self, members: tuple[Site, ...]) -> Iterator[Site]:
        """A module all of whose roles are of the family is meant whole."""
        for site in members:
            if not self._is_kind(site.kind):
                continue
            if all(row in members for row in self._rows[site.path]):
                yield self._whole(site.path)
            else:
                yield site

    def _of_row(self, row: Site) -> tuple[Site, ...]:
        if self.kind == "attention":
            return self._attentions_of(row.path) if row.kind == "block" else ()
        if row.kind == self.kind or self._is_kind(row.kind):
            return (row,)
        return self._inside(row.path)

    def _of_modules(self, paths: list[str]) -> tuple[Site, ...]:
        chosen: dict[tuple[str, str | None], Site] = {}
        for path in paths:
            for site in self._of_module(path):
                chosen[site.path, site.role] = site
        return tuple(chosen.values())

    def _of_module(self, path: str) -> tuple[Site, ...]:
        if self.kind == "attention":
            return self._attentions_of(path)
        if self.kind == "block" and (self._has_modules(path) or path in self._blocks):
            return (self._block(path),)
        if any(self._is_kind(row.kind) for row in self._rows.get(path, ())):
            return (self._whole(path),)
        return self._inside(path)

    def _inside(self, path: str) -> tuple[Site, ...]:
        names = dict.fromkeys(
            row.path for row in self._rows_inside(path) if self._is_kind(row.kind)
        )
        return tuple(self._whole(name) for name in names)

    def _rows_inside(self, path: str) -> tuple[Site, ...]:
        return tuple(self._rows_by_outer.get(path, ()) if path else self.table.sites)

    def _within_linear(self) -> tuple[Site, ...]:
        if self.kind == "linear":
            return tuple(self._linear())
        if self.kind in ("any", "param"):
            return tuple(
                self._whole(site.path)
                for site in (*self._linear(), *self.table.sites)
                if site.kind in (("linear",) if self.kind == "any" else ("param",))
                and self._is_in_layers(site.path)
            )
        return ()

    def _linear(self) -> Iterator[Site]:
        """Every linear map inside the layers, without heads; in a model without layers, every one
        but the head.
        """
        for path, rows in self._rows.items():
            if rows[0].kind == "linear" and self._is_in_layers(path) and rows[0].role != "head":
                yield self._whole(path)

    def _attentions_of(self, path: str) -> tuple[Site, ...]:
        """The product that a module computes, or else those inside it."""
        own = tuple(site for site in self._products if site.path == path)
        blocks = self._attentions(self._blocks.get(path, ()))
        return own or blocks or tuple(s for s in self._products if _is_within(s.path, path))

    def _attentions(self, rows: tuple[Site, ...]) -> tuple[Site, ...]:
        """The modules that compute the products of these blocks."""
        names = self._classes
        return tuple(
            replace(
                row,
                kind="attention",
                path=row.attention.module,
                class_name=names[row.attention.module],
            )
            for row in rows
            if row.kind == "block" and row.attention is not None
        )

    def _whole(self, path: str) -> Site:
        """A module itself: with its role if it has one alone, without any if it is fused."""
        first, *more = self._rows[path]
        return first if not more and first.slice is None else replace(first, slice=None, role=None)

    def _block(self, path: str) -> Site:
        """A block that has a role here keeps its ports; of any other, those of the module."""
        rows = self._blocks.get(path, ())
        if rows and not self._has_modules(path):
            return rows[0]
        ports = self._ports.get(path)
        if rows:
            own = rows[0].block is not None and rows[0].block.output.module == path
            return rows[0] if own else replace(rows[0], block=ports)
        name = self._classes[path]
        return Site(
            path, "block", None, None, self.layer_around(path), name, None, None, block=ports
        )

    def layer_around(self, path: str) -> int | None:
        """The index of the layer that a module is in."""
        return next(
            (r.layer for r in self._layers if path == r.path or path.startswith(f"{r.path}.")), None
        )

    def _is_kind(self, kind: str) -> bool:
        return kind == self.kind or (self.kind == "any" and kind in ANY)

    def _is_in_layers(self, path: str) -> bool:
        return not self.table.layers or self._rows[path][0].layer is not None

    def _has_modules(self, path: str) -> bool:
        return path in self._parents

    @cached_property
    def _rows(self) -> dict[str, tuple[Site, ...]]:
        """The sites of a path that are no blocks: a map may be what a block ends with."""
        return _by_path(site for site in self.table.sites if site.kind != "block")

    @cached_property
    def _blocks(self) -> dict[str, tuple[Site, ...]]:
        return _by_path(site for site in self.table.sites if site.kind == "block")

    @cached_property
    def _ports(self) -> dict[str, BlockPorts]:
        return dict(self.table.calls)

    @cached_property
    def _products(self) -> tuple[Site, ...]:
        return self._attentions(self.table.sites)

    @cached_property
    def _classes(self) -> dict[str, str]:
        return dict(self.table.modules)

    @cached_property
    def _parents(self) -> frozenset[str]:
        """The modules inside the model that have modules in them."""
        return frozenset(path.rpartition(".")[0] for path in self._classes) - {""}

    @cached_property
    def _names(self) -> tuple[str, ...]:
        parameters = tuple(path for path, rows in self._rows.items() if rows[0].kind == "param")
        return (*(path for path, _ in self.table.modules), *parameters)

    @cached_property
    def _paths_of_kind(self) -> tuple[str, ...]:
        return tuple(
            path
            for path, rows in self._rows.items()
            if any(self._is_kind(row.kind) for row in rows)
        )

    @cached_property
    def _rows_by_outer(self) -> dict[str, list[Site]]:
        """Rows by the path of each module that they are inside of."""
        found: dict[str, list[Site]] = {}
        for site in self.table.sites:
            outer, dot, _ = site.path.rpartition(".")
            while dot:
                found.setdefault(outer, []).append(site)
                outer, dot, _ = outer.rpartition(".")
        return found

    @cached_property
    def _layers(self) -> tuple[Site, ...]:
        return tuple(site for site in self.table.sites if site.role == "layer")


def _by_path(sites: Iterable[Site]) -> dict[str, tuple[Site, ...]]:
    rows: dict[str, tuple[Site, ...]] = {}
    for site in sites:
        rows[site.path] = (*rows.get(site.path, ()), site)
    return rows


def _is_within(path: str, outer: str) -> bool:
    return path.startswith(f"{outer}.") if outer else path != ""
