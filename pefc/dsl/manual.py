"""The manual: what `pefc explain` and `pefc methods` say, and the generated pages of docs/."""

import inspect
import re
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from . import diagnostics
from .diagnostics.report import Diagnostic
from .diagnostics.suggestions import nearest
from .format.method import enumerated
from .parsing import library
from .syntax.expression import Text
from .syntax.method import Alias, Enumeration, Method, NamedType, Parameter
from .syntax.statement import Recipe
from .syntax.vocabulary import FUNCTIONS, MODULES, POLICIES, SITES, Function, SiteWords


@cache
def codes() -> dict[str, type[Diagnostic]]:
    """Every diagnostic by its code, sorted."""
    found: dict[str, type[Diagnostic]] = {}
    for module in iter_modules(diagnostics.__path__):
        content = import_module(f"{diagnostics.__name__}.{module.name}")
        for entry in vars(content).values():
            if isinstance(entry, type) and issubclass(entry, Diagnostic):
                found[entry.code()] = entry
    del found[Diagnostic.code()]
    return dict(sorted(found.items()))


def explain(word: str) -> str | None:
    """The entry of a code, method, recipe, kind of site or function; None if there is none."""
    definition = library.definition(word)
    if definition is not None:
        return f"{definition.span.source.text.strip()}\n"
    if word in codes():
        return f"{word}\n\n{entry(codes()[word])}\n"
    if word in SITES:
        return _site(SITES[word])
    function = {**FUNCTIONS, **MODULES, **POLICIES}.get(word)
    if function is not None:
        return f"{function.signature}\n"
    return None


def near(word: str) -> str | None:
    """The word with an entry that was probably meant."""
    return nearest(word, (*library.names(), *codes(), *SITES, *FUNCTIONS, *MODULES, *POLICIES))


def entry(kind: type[Diagnostic]) -> str:
    """The manual entry of a diagnostic."""
    return inspect.cleandoc(kind.__doc__ or "")


def example(kind: type[Diagnostic]) -> str:
    """The spec in a manual entry that gives the diagnostic; empty if that takes a model."""
    lines: list[str] = []
    for line in entry(kind).splitlines():
        if line.startswith("    ") or (lines and not line):
            lines.append(line.removeprefix("    "))
        elif lines:
            break
    return "\n".join(lines).strip() + "\n" if lines else ""


def methods() -> tuple[tuple[str, str], ...]:
    """The signature and summary of everything that ships."""
    return tuple((signature(name), summary(name)) for name in library.names())


def signature(name: str) -> str:
    """How a method or recipe is called: its parameters with their types and defaults."""
    definition = library.definition(name)
    match definition:
        case Alias(base=base):
            return f"{name} = {base.span.text}"
        case Method(parameters=parameters) | Recipe(parameters=parameters):
            inside = ", ".join(_parameter(parameter) for parameter in parameters)
            return f"{name}({inside})" if inside else name
        case None:
            raise LookupError(name)


def departure(method: Method) -> str:
    """What the documentation of a method says behind its source: where it is not its paper's."""
    text = "" if method.documentation is None else method.documentation.value
    found = re.search(r"arXiv:[\d.]+; (.+)$", text)
    return "" if found is None else found[1]


def summary(name: str) -> str:
    """What a method or recipe says of itself."""
    match library.definition(name):
        case Alias(base=base):
            return f"`{base.name}` with {', '.join(a.span.text for a in base.arguments)}"
        case Method(documentation=Text(value)) | Recipe(documentation=Text(value)):
            return value
        case _:
            return ""


def errors_page() -> str:
    """The text of docs/errors.md."""
    parts = [
        "# Diagnostics",
        "Each mistake has a code; `pefc explain CODE` prints its entry.",
        "This page is made of those entries; `pytest --bless` writes it.",
    ]
    for code, kind in codes().items():
        parts.append(f"## {code}")
        if kind.severity == "warning":
            parts.append("*a warning*")
        parts.append(_fenced(entry(kind)))
    return "\n\n".join(parts) + "\n"


def methods_page() -> str:
    """The text of docs/methods.md."""
    parts = [
        "# Methods",
        "What ships, in the language itself.",
        "This page is made of `pefc/grammar/std`; `pytest --bless` writes it.",
    ]
    for kind in (Method, Alias, Recipe):
        parts.append(f"## {_title(kind)}")
        for name in library.names():
            definition = library.definition(name)
            if isinstance(definition, kind):
                text = definition.span.source.text.strip()
                parts += [f"### {name}", summary(name), f"```peft\n{text}\n```"]
    parts += ["## Kinds of site", *(_site(words) for words in SITES.values())]
    parts += ["## Functions of formulas", _functions()]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _title(kind: type[Method | Alias | Recipe]) -> str:
    return {Method: "Defined by a formula", Alias: "Aliases", Recipe: "Recipes"}[kind]


def _parameter(parameter: Parameter) -> str:
    match parameter.type:
        case NamedType(name):
            kind = f": {name}"
        case Enumeration() as kinds:
            kind = f": {{{', '.join(enumerated(kinds))}}}"
        case None:
            kind = ""
    default = "" if parameter.default is None else f" = {parameter.default.span.text}"
    return f"{parameter.name}{kind}{default}"


def _site(words: SiteWords) -> str:
    rows = (
        ("values", (*words.weights, *words.ports)),
        ("dims", words.dims),
        ("maps", words.calls),
        ("rules assign", words.targets),
        ("`extend`", words.extends),
        ("`tune`", words.tunes),
    )
    lines = [f"- {title}: {_quoted(names)}" for title, names in rows if names]
    return f"`{words.kind}`: {words.summary}\n\n" + "\n".join(lines) + "\n"


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _functions() -> str:
    families: dict[str, list[Function]] = {}
    for function in FUNCTIONS.values():
        families.setdefault(function.family, []).append(function)
    families["module"] = list(MODULES.values())
    return "\n".join(
        f"- {family}: {_quoted(function.signature for function in functions)}"
        for family, functions in families.items()
    )


def _language(line: str) -> str:
    """What an example is written in, by its first line."""
    if line.startswith(("pefc ", "sed ")):
        return "sh"
    if line.startswith("{"):
        return "json"
    is_python = any(word in line for word in ("pefc.", ".forward"))
    return "python" if is_python else "peft"


def _fenced(text: str) -> str:
    """A manual entry with its example in a fence."""
    lines: list[str] = []
    inside = False
    for line in text.splitlines():
        is_code = line.startswith("    ")
        if is_code and not inside:
            lines.append(f"```{_language(line.strip())}")
        if inside and not is_code and line:
            lines[-1:] = ["```", ""]
        inside = is_code or (inside and not line)
        lines.append(line.removeprefix("    ") if inside else line)
    return "\n".join([*lines, "```"] if inside else lines)
