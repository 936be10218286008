"""Random specs: every kind of node, in every place that takes it."""

from hypothesis import strategies as st

from pefc.dsl.syntax.expression import (
    Argument,
    Attribute,
    Binary,
    Bool,
    Call,
    Comprehension,
    Conditional,
    Factor,
    Index,
    Largest,
    Name,
    Number,
    Range,
    Sequence,
    Slice,
    Text,
    Unary,
)
from pefc.dsl.syntax.method import (
    Affine,
    Alias,
    Enumeration,
    Extend,
    Indices,
    Init,
    Let,
    Loss,
    Method,
    Module,
    NamedType,
    Parameter,
    Rebase,
    Require,
    Rule,
    Shrink,
    Tensor,
    Tune,
    Use,
    When,
)
from pefc.dsl.syntax.selector import AnyOf, Both, ClassTerm, Except, Layers, Quoted, Selection, Term
from pefc.dsl.syntax.source import Source, Span
from pefc.dsl.syntax.statement import (
    Attach,
    Constant,
    Import,
    Modify,
    Recipe,
    Setting,
    Spec,
    Task,
    TuneStatement,
)

AT = Span(Source("<law>", ""), 0, 0)

words = st.sampled_from(
    "r x A B in out layer layers on as keys where none if of by d_model W2 loss_ linear".split()
)
names = st.sampled_from(["r", "alpha", "A", "B2", "kv_heads", "q"])
patterns = st.sampled_from(
    ["attn.q", "attn.{q,v}", "mlp.*", "layers.0.**", "in", "layer", "head", "**.o_proj", "0.1"]
)
whole = st.integers(-(10**18) + 1, 10**18 - 1)
values = whole | st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0)
positive = st.integers(0, 10**18 - 1) | st.floats(0, allow_nan=False, allow_infinity=False)


def several(items: st.SearchStrategy, least: int = 1) -> st.SearchStrategy:
    return st.lists(items, min_size=least, max_size=3).map(tuple)


def perhaps(items: st.SearchStrategy) -> st.SearchStrategy:
    return st.none() | items


leaves = st.one_of(
    st.builds(Name, words, st.just(AT)),
    st.builds(Number, values, st.just(AT)),
    st.builds(Factor, positive, st.just(AT)),
    st.builds(Text, st.text(max_size=8), st.just(AT)),
    st.builds(Bool, st.booleans(), st.just(AT)),
    st.builds(Largest, st.builds(Name, words, st.just(AT)), st.just(AT)),
)


def _grown(inner: st.SearchStrategy) -> st.SearchStrategy:
    operators = st.sampled_from("+ - * / // % @ ** == != < <= > >= and or".split())
    argument = st.builds(Argument, perhaps(words), inner, st.just(AT))
    comprehension = st.builds(Comprehension, inner, names, inner, st.just(AT))
    parts = perhaps(inner)
    item = inner | st.builds(Slice, parts, parts, parts, st.just(AT))
    minus = inner.filter(lambda node: not (isinstance(node, Number) and node.value >= 0))
    return st.one_of(
        st.builds(Binary, operators, inner, inner, st.just(AT)),
        st.builds(Unary, st.just("-"), minus, st.just(AT)),
        st.builds(Unary, st.just("not"), inner, st.just(AT)),
        st.builds(Range, inner, inner, st.just(AT)),
        st.builds(Sequence, several(inner, 0), st.just(AT)),
        st.builds(Conditional, inner, inner, inner, st.just(AT)),
        st.builds(Call, inner, several(argument, 0), st.just(AT)),
        st.builds(
            Call,
            inner,
            comprehension.map(lambda made: (Argument(None, made, AT),)),
            st.just(AT),
        ),
        st.builds(Attribute, inner, words, st.just(AT)),
        st.builds(Index, inner, several(item), st.just(AT)),
    )


expressions = st.recursive(leaves, _grown, max_leaves=12)
arguments = several(st.builds(Argument, perhaps(words), expressions, st.just(AT)), 0)
uses = st.builds(Use, names, arguments, st.just(AT), st.just(AT))

bounds = st.builds(Number, whole, st.just(AT)) | st.builds(Name, names, st.just(AT))
layers = st.builds(Layers, several(st.builds(Range, bounds, bounds, st.just(AT)), 0), st.just(AT))
terms = st.one_of(
    st.builds(Term, patterns, st.booleans(), span=st.just(AT)),
    st.builds(Quoted, st.text(max_size=8), st.booleans(), span=st.just(AT)),
    st.builds(ClassTerm, st.sampled_from(["Linear", "nn.Linear"]), st.booleans(), span=st.just(AT)),
)


def _combined(inner: st.SearchStrategy) -> st.SearchStrategy:
    clauses = st.tuples(perhaps(layers), perhaps(expressions)).filter(any)
    return st.one_of(
        st.builds(AnyOf, several(inner, 2), st.just(AT)),
        st.builds(Except, inner, inner, st.just(AT)),
        st.builds(Both, inner, inner, st.just(AT)),
        st.builds(lambda base, pair: Selection(base, *pair, span=AT), inner, clauses),
    )


selectors = st.recursive(terms, _combined, max_leaves=6)
selections = st.builds(
    Selection, perhaps(selectors), perhaps(layers), perhaps(expressions), span=st.just(AT)
).filter(lambda made: made.selector or made.layers or made.where)

settings = several(st.builds(Setting, names, perhaps(names), expressions, st.just(AT)), 0)
counts = perhaps(st.integers(0, 10**6))

kinds = st.builds(NamedType, words, st.just(AT)) | st.builds(
    Enumeration, several(words), st.just(AT), st.booleans()
)
parameters = several(
    st.builds(Parameter, names, perhaps(kinds), perhaps(expressions), st.just(AT)), 0
)
documentation = perhaps(st.builds(Text, st.text(max_size=8), st.just(AT)))
scopes = perhaps(st.sampled_from(["model", "kind", "group"]))
shapes = several(expressions, 0)


@st.composite
def _starts(draw: st.DrawFn) -> dict[str, object]:
    if draw(st.booleans()):
        return {"value": draw(expressions)}
    return {"distribution": draw(expressions), "seed": draw(perhaps(expressions))}


@st.composite
def _tensors(draw: st.DrawFn) -> Tensor | Affine:
    name, frozen, scope = draw(names), draw(st.booleans()), draw(scopes)
    start = draw(_starts())
    if draw(st.booleans()):
        return Tensor(name, draw(shapes), frozen=frozen, scope=scope, span=AT, **start)
    ends = draw(expressions), draw(expressions)
    given = start if draw(st.booleans()) else {}
    return Affine(name, *ends, frozen=frozen, scope=scope, span=AT, **given)


@st.composite
def _indices(draw: st.DrawFn) -> Indices:
    made = draw(several(names))
    shape = draw(st.lists(shapes, min_size=len(made), max_size=len(made)).map(tuple))
    of = draw(perhaps(shapes))
    return Indices(made, shape, of, draw(expressions), draw(scopes), span=AT)


@st.composite
def _bindings(draw: st.DrawFn) -> Let | Init | Extend:
    kind = draw(st.sampled_from([Let, Init, Extend]))
    left = draw(several(names))
    count = len(left) if kind is Extend or draw(st.booleans()) else 1
    right = draw(st.lists(expressions, min_size=count, max_size=count).map(tuple))
    return kind(left, right, AT)


calls = st.builds(Call, st.builds(Name, names, st.just(AT)), arguments, st.just(AT))
modules = st.builds(
    Module,
    names,
    calls,
    scopes,
    span=st.just(AT),
)
targets = st.sampled_from("weight bias input output keys values context positions".split())
plain_items = st.one_of(
    _tensors(),
    _indices(),
    _bindings(),
    modules,
    st.builds(Require, expressions, st.just(AT)),
    st.builds(
        Rule,
        targets,
        st.sampled_from(["=", "+=", "-=", "*="]),
        expressions,
        perhaps(expressions),
        perhaps(expressions),
        span=st.just(AT),
    ),
    st.builds(Tune, several(st.builds(Name, words, st.just(AT))), st.just(AT)),
    st.builds(Loss, expressions, st.just(AT)),
    st.builds(Shrink, names, expressions, calls, st.just(AT)),
    st.builds(Rebase, expressions, st.just(AT)),
)
items = st.recursive(
    plain_items,
    lambda inner: st.builds(When, expressions, several(inner, 0), several(inner, 0), st.just(AT)),
    max_leaves=4,
)

plain_statements = st.one_of(
    st.builds(
        Attach, uses, perhaps(selections), perhaps(names), counts, settings, span=st.just(AT)
    ),
    st.builds(
        TuneStatement,
        perhaps(st.sampled_from(["bias", "weight"])),
        selections,
        counts,
        settings,
        span=st.just(AT),
    ),
    st.builds(Constant, names, expressions, st.booleans(), st.just(AT), st.just(AT)),
    st.builds(Import, st.builds(Text, st.text(max_size=8), st.just(AT)), st.just(AT)),
    st.builds(
        Method,
        names,
        parameters,
        words,
        documentation,
        several(items, 0),
        st.just(AT),
        st.just(AT),
    ),
    st.builds(Alias, names, uses, st.just(AT), st.just(AT)),
)
statements = st.recursive(
    plain_statements,
    lambda inner: st.one_of(
        st.builds(Modify, uses, several(inner, 0), st.just(AT)),
        st.builds(Task, names, several(inner, 0), st.just(AT), st.just(AT)),
        st.builds(
            Recipe, names, parameters, documentation, several(inner, 0), st.just(AT), st.just(AT)
        ),
    ),
    max_leaves=5,
)
specs = st.builds(Spec, several(statements, 0), span=st.just(AT))
