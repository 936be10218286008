"""Graphs as a page of HTML that needs no other file."""

import re
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files

from ...compiler.ops import Line
from ...compiler.plan import Plan
from .graph_parts import BEFORE, Part

_TOKEN = re.compile(r"[A-Za-z_][\w.]*|\d[\w.]*|[@+*/-]")


START = "<!doctype html>\n<!-- pefc graph -->"
"""How a page begins."""


def page(plan: Plan, shown: Sequence[Part]) -> str:
    """The page: the spec on top, then each kind of module with its stages side by side."""
    style = (files("pefc.cli") / "graph_page.css").read_text(encoding="utf-8")
    spec = escape(plan.checked.spec.span.source.text.strip())
    return f"""{START}
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(plan.model)}, before and after</title>
<style>
{style}</style>
<header>
<h1>{escape(plan.model)}</h1>
<p>{_facts(plan)}</p>
<pre class="spec">{spec}</pre>
</header>
<main>
{"".join(map(_section, shown))}</main>
</html>
"""


def _facts(plan: Plan) -> str:
    share = plan.trainable / plan.total if plan.total else 0
    facts = (
        f"<b>{len(plan.modules)}</b> modules are patched",
        f"<b>{plan.trainable:,}</b> of {plan.total:,} parameters train ({share:.3%})",
    )
    return " · ".join(facts)


def _section(part: Part) -> str:
    methods = "".join(f'<span class="method">{escape(name)}</span>' for name in part.methods)
    reads = "".join(f"<p>{escape(line)}</p>\n" for line in part.reads)
    stages = "".join(_stage(name, lines, part.tensors) for name, lines in part.stages)
    return f"""<section>
<h2>{escape(part.path)} {methods}</h2>
<p>{escape(part.title)}</p>
{reads}<div class="stages">
{stages}</div>
</section>
"""


def _stage(name: str, lines: Sequence[Line], added: Sequence[str]) -> str:
    last = len(lines) - 1
    rows = "".join(_row(line, added, is_result=n == last) for n, line in enumerate(lines))
    kind = "before" if name == BEFORE else "after"
    caption = f"<figcaption>{escape(name)}</figcaption>"
    return f'<figure class="{kind}">{caption}<table>{rows}</table></figure>\n'


def _row(line: Line, added: Sequence[str], *, is_result: bool) -> str:
    name = f'<td class="name{" result" * is_result}">{escape(line.name)}</td>'
    code = f'<td class="code">{"".join(_coloured(line.expression, added))}</td>'
    return f'<tr>{name}{code}<td class="shape">{escape(line.shape)}</td></tr>\n'


def _coloured(expression: str, added: Sequence[str]) -> Iterator[str]:
    """The expression with marks around what was added, what the base has, calls and operators."""
    position = 0
    for token in _TOKEN.finditer(expression):
        yield escape(expression[position : token.start()])
        text = escape(token[0])
        kind = _kind(token[0], added, called=expression[token.end() : token.end() + 1] == "(")
        yield text if kind is None else f'<span class="{kind}">{text}</span>'
        position = token.end()
    yield escape(expression[position:])


def _kind(word: str, added: Sequence[str], *, called: bool) -> str | None:
    if word in added:
        return "added"
    if word in {"weight", "bias", "base"}:
        return "own"
    if called:
        return "call"
    return "operator" if word in {"@", "+", "-", "*", "/"} else None
