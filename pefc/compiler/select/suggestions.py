"""What a model has in the place of what a selector asked for: names to suggest, and a note."""

from collections.abc import Iterator

from ...dsl.syntax.vocabulary import ROLES
from ..model import SiteTable
from .matching import Picker


def known_names(table: SiteTable, *, classes: bool, roles: bool) -> tuple[str, ...]:
    """Everything that a term of one form could have named in this model."""
    if classes:
        return tuple(dict.fromkeys(f":{name}" for _, name in table.modules))
    suffixes = dict.fromkeys(_suffixes(table))
    if not roles:
        return tuple(suffixes)
    linear = (
        ("linear",) if any(s.kind == "linear" and s.layer is not None for s in table.sites) else ()
    )
    return tuple(dict.fromkeys((*model_roles(table), *linear, *suffixes)))


def model_roles(table: SiteTable) -> tuple[str, ...]:
    """The roles that some site of the model has."""
    found = {site.role for site in table.sites if site.role is not None}
    full = [f"{family}.{role}" for family, roles in ROLES.items() for role in roles]
    return tuple(role for role in (*full, *ROLES) if role in found)


def roles_of_kinds(table: SiteTable, kinds: tuple[str, ...]) -> tuple[str, ...]:
    """The roles that a model has for sites of some kinds: those of the sites themselves, else what
    holds such sites.
    """
    found = {site.role for site in table.sites if site.kind in kinds}
    direct = tuple(role for role in model_roles(table) if role in found)
    if direct:
        return direct
    pickers = [Picker(table, kind) for kind in kinds]
    return tuple(r for r in model_roles(table) if any(picker.role(r) for picker in pickers))


def instead(table: SiteTable, pattern: str, *, classes: bool) -> str:
    """The note that says what the model has."""
    if classes:
        names = dict.fromkeys(name for _, name in table.modules)
        return f"{table.model} has the classes {_joined(names)}"
    family = pattern.partition(".")[0]
    roles = [
        site.role.partition(".")[2]
        for site in table.sites
        if site.role and site.role.startswith(f"{family}.")
    ]
    if roles:
        return f"`{family}` has the roles {_joined(dict.fromkeys(roles))} here"
    known = model_roles(table)
    if not known:
        why = f", since it could not be traced ({table.reason})" if table.reason else ""
        return f"{table.model} has no roles{why}: name its modules by path or class"
    return f"{table.model} has the roles {_joined(dict.fromkeys(known))}"


def _joined(names: dict[str, None]) -> str:
    shown = list(names)[:12]
    return ", ".join((*shown, "…") if len(names) > len(shown) else shown)


def _suffixes(table: SiteTable) -> Iterator[str]:
    """Ends of paths, of one and of two segments, without indices alone."""
    for path, _ in table.modules:
        segments = path.split(".")
        for count in (1, 2):
            if len(segments) >= count and not segments[-count].isdigit():
                yield ".".join(segments[-count:])
