"""Random formulas that zero is multiplied by where they start, finite or not."""

import re

from hypothesis import assume
from hypothesis import strategies as st

from pefc.compiler.lower.method.signatures import LinearFacts

from .formulas import Case, case, has_lowering
from .grown import Grower, declared

BARE = (
    *("sqrt({})", "log({})", "1 / ({})", "({}) / ({})", "({}) ** -1", "({}) ** 0.5"),
    *("exp(100 * ({}))", "log(abs({}))", "({}) % ({})", "({}) // ({})", "{}"),
)
"""May be NaN or infinite, by what they are given."""


@st.composite
def vanishing(draw: st.DrawFn) -> Case:
    """`weight += Z @ (…)`, where Z starts at zero."""
    grower = Grower(draw)
    inner = grower.matrix(("r", "in"), 1)
    rule = f"weight += Z @ ({grower.of(*BARE).format(inner, inner)})"
    named = set(re.findall(r"\w+", rule))
    tensors = [declared(grower, *each) for each in grower.declared.items() if each[0] in named]
    text = "\n  ".join(["Z: [out, r] = 0", *tensors, rule])
    facts = LinearFacts(8, 12, bias=True, transposed=False)
    found = case(facts, f"method own(r: int = 2) on linear {{\n  {text}\n}}\nown on linear as m0")
    assume(has_lowering(found))
    return found
