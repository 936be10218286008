"""The words that the language knows by itself: kinds of site, functions, distributions, types,
modifiers, roles.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class SiteWords:
    """What a formula may name at a kind of site."""

    kind: str
    summary: str
    targets: tuple[str, ...]
    """What rules may assign."""
    ports: tuple[str, ...] = ()
    """Values that exist in a forward only."""
    weights: tuple[str, ...] = ()
    """Values of the base, there when a method is attached."""
    dims: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    """Maps of the site that a formula may call."""
    extends: tuple[str, ...] = ()
    tunes: tuple[str, ...] = ()
    """The site's own parameters, for `tune`."""
    selector: Literal["required", "optional", "forbidden"] = "required"
    """Whether a statement says `on …`."""


SITES: dict[str, SiteWords] = {
    words.kind: words
    for words in (
        SiteWords(
            "linear",
            "a linear map; `W` is [out, in] always",
            ("weight", "bias", "input", "output"),
            ports=("x", "y"),
            weights=("W", "b"),
            dims=("in", "out", "sites"),
            tunes=("weight", "bias"),
        ),
        SiteWords(
            "block",
            "a module with a residual branch, such as the ffn",
            ("input", "output"),
            ports=("x", "y", "residual"),
            dims=("d",),
            calls=("norm",),
        ),
        SiteWords(
            "attention",
            "an attention product with its projections",
            ("keys", "values", "context", "positions"),
            ports=("q", "keys", "values", "x"),
            dims=("d", "heads", "kv_heads", "head_dim", "layer", "layers"),
            calls=("q", "k", "v", "o", "attend"),
            extends=("keys", "values"),
            selector="optional",
        ),
        SiteWords(
            "tokens",
            "the embedded input of the whole model",
            (),
            dims=("d",),
            calls=("embed",),
            extends=("tokens",),
            selector="forbidden",
        ),
        SiteWords(
            "embedding",
            "a table of vectors; `W` is [out, in] with `in` the size of the vocabulary",
            ("weight", "output"),
            ports=("x", "y"),
            weights=("W",),
            dims=("in", "out"),
            tunes=("weight",),
        ),
        SiteWords(
            "norm",
            "a normalisation with weight `W` [out]",
            ("weight", "bias", "input", "output"),
            ports=("x", "y"),
            weights=("W", "b"),
            dims=("in", "out"),
            tunes=("weight", "bias"),
        ),
        SiteWords(
            "conv",
            "a convolution; `W` is [out, in, kernel …]",
            ("weight", "bias", "input", "output"),
            ports=("x", "y"),
            weights=("W", "b"),
            dims=("in", "out", "kernel", "groups"),
            tunes=("weight", "bias"),
        ),
        SiteWords(
            "param",
            "a bare tensor, such as stacked experts",
            ("weight",),
            weights=("W",),
            dims=("in", "out", "experts"),
            tunes=("weight",),
        ),
        SiteWords(
            "any",
            "a linear map, norm, convolution or embedding",
            ("output",),
            ports=("x", "y"),
            dims=("out",),
            tunes=("weight", "bias"),
        ),
    )
}

AXES = ("tokens",)
"""Names of axes besides dims, for `sum`, `mean` and `norm`."""
CONTEXT = ("task",)
"""Values of the whole call."""


@dataclass(frozen=True, slots=True)
class Function:
    """How a function of formulas is called: the names of its arguments, in order."""

    name: str
    parameters: tuple[str, ...]
    required: int
    """How many of them must be given."""
    variadic: bool = False
    """The last one may be given many times."""
    family: Literal["number", "tensor", "distribution", "position", "policy"] = "tensor"
    """`number` functions take numbers as well as tensors and may stand in constants and shapes."""
    results: int = 1

    @property
    def is_unary(self) -> bool:
        """Whether it makes one value of one value."""
        one = len(self.parameters) == 1 and not self.variadic and self.results == 1
        return one and self.family in ("number", "tensor") and self.name != "change"

    @property
    def signature(self) -> str:
        names = [
            name if place < self.required else f"{name}?"
            for place, name in enumerate(self.parameters)
        ]
        return f"{self.name}({', '.join(names)}{', …' if self.variadic else ''})"


def _table(family: str, *signatures: str) -> dict[str, Function]:
    """Functions from `clamp(value, low, high?)`, `max(value, …)`, `svd(matrix) -> 3`."""
    return {entry.name: entry for entry in (_function(family, line) for line in signatures)}


def _function(family: str, line: str) -> Function:
    call, _, results = line.partition(" -> ")
    name, _, inside = call.rstrip(")").partition("(")
    words = tuple(word for word in inside.split(", ") if word)
    variadic = bool(words) and words[-1] == "…"
    words = words[:-1] if variadic else words
    required = sum(not word.endswith("?") for word in words)
    names = tuple(word.rstrip("?") for word in words)
    assert family in ("number", "tensor", "distribution", "position", "policy")
    return Function(name, names, required, variadic, family, int(results or 1))


FUNCTIONS: dict[str, Function] = {
    **_table(
        "number",
        "sqrt(value)", "exp(value)", "log(value)", "abs(value)", "sin(value)", "cos(value)",
        "min(value, …)", "max(value, …)", "ceil(value)", "floor(value)", "int(value)",
        "factors(value, factor) -> 2",
    ),
    **_table(
        "tensor",
        "norm(value, axis?)", "sum(value, axis?)", "mean(value, axis?)", "softmax(value, axis?)",
        "clamp(value, low, high?)", "detach(value)", "dropout(value, p)", "drift(value)",
        "relu(value)", "gelu(value)", "silu(value)", "tanh(value)", "sigmoid(value)",
        "zeros(size, …)", "ones(size, …)", "eye(size)", "arange(size)",
        "diag(vector)", "block_diag(blocks)", "kron(left, right)", "circulant(blocks)",
        "tile(matrix, columns)", "skew(vector)", "cayley(matrix)", "householder(vectors)",
        "orthonormal(matrix)",
        "svd(matrix) -> 3", "qr(matrix) -> 2", "lstsq(matrix, target)", "truncate(matrix, rank)",
        "einsum(pattern, value, …)", "dot(left, right)", "stack(value, …)", "mix(weights, values)",
        "sample(seed)", "largest(value)", "scatter(values, index)", "real(value)", "ifft2(value)",
        "split(value, parts)", "join(value)", "shuffle(value, parts)",
        "block(matrix, size)", "unblock(blocks)", "halves(value, group)",
        "rotate_half(value, group)",
        "attend(queries, keys, values)", "embed(text, length?)", "change(method)",
        "batch_mean(value)", "noted(value)",
    ),
    **_table(
        "distribution",
        "kaiming(a?)", "normal(mean?, std?)", "uniform(low, high)", "xavier()", "orthogonal()",
        "linear_default()", "truncated(mean, std)", "vocabulary()", "paired(distribution)",
        "unit_std(distribution)",
    ),
    **_table("position", "first(count)", "last(count)"),
}  # fmt: skip
"""Every function of formulas."""

ATTRIBUTES: dict[str, Function | None] = {
    "T": None,
    "mT": None,
    **_table("tensor", "reshape(size, …)", "flatten(start?, stop?)"),
}
"""What may follow a dot: None is read (`A.T`), a function is called (`A.reshape(2, 4)`)."""

MODULES: dict[str, Function] = _table("tensor", "lstm(input, hidden, layers?, both?)")
"""Builtin modules, for `R: lstm(d, h)`."""
FLAGS = ("both",)
"""Arguments of builtin modules whose bare name sets them, wherever it stands."""

TYPES = ("int", "float", "prob", "bool", "string", "range", "list", "method", "methods")
SCOPES = ("model", "kind", "group")
POLICIES: dict[str, Function] = _table(
    "policy", "sensitivity(steps, start?, settle?, every?, beta1?, beta2?)"
)
"""Rank allocators of the runtime, for `shrink`."""
MEANINGS = {"steps": "the number of all optimizer steps of the training"}
"""What the arguments say that policies cannot do without."""
SETTINGS = ("lr", "decay", "dtype")
DTYPES = ("bf16", "fp16", "fp32")
"""The dtypes that a spec may name."""

BUILTINS: dict[str, tuple[tuple[str, str | tuple[str, ...], str | bool | int | None], ...]] = {
    "gate": (("kind", ("unipelt",), None),),
    "adapterdrop": (("layers", "range", None), ("eval", "int", 0)),
    "quantize": (
        ("format", ("nf4", "fp4", "int8"), "nf4"),
        ("double", "bool", False),
        ("compute", DTYPES, "bf16"),
    ),
}
"""Words that are used like methods and are none: (parameter, type or members, default or None)
each. `fuse` takes names of tasks.
"""
FUSION = "fusion"
"""The task of what runs over the tasks that `fuse` names."""
MODIFIERS = ("gate", "adapterdrop")
RESERVED = (*BUILTINS, "fuse")

SYNONYMS: dict[str, str] = {
    "rank": "r",
    "dim": "r",
    "lora_r": "r",
    "lora_alpha": "alpha",
    "lora_dropout": "dropout",
    "drop": "dropout",
    "p": "dropout",
    "use_rslora": "stable",
    "rslora": "stable",
    "num_virtual_tokens": "len",
    "length": "len",
    "n": "len",
    "bottleneck": "r",
    "scaling": "scale",
    "text": "init",
    "prompt_tuning_init": "init",
    "prompt_tuning_init_text": "init",
    "non_linearity": "act",
    "activation": "act",
    "encoder_hidden_size": "h",
    "encoder_reparameterization_type": "encoder",
    "learning_rate": "lr",
    "weight_decay": "decay",
    "wd": "decay",
    "torch_dtype": "dtype",
    "precision": "dtype",
}
"""Names that other tools use, and ours."""

ROLES: dict[str, tuple[str, ...]] = {
    "attn": ("q", "k", "v", "o"),
    "xattn": ("q", "k", "v", "o"),
    "ffn": ("up", "gate", "down"),
    "moe": ("router", "up", "gate", "down"),
    "norm": (),
    "embed": (),
    "head": (),
    "layer": (),
    "linear": (),
    "conv": (),
}
"""Families of roles, with the roles of each; the family's name alone is a role too."""
FACTS = ("in", "out", "layer", "heads", "kv_heads", "head_dim")
"""Facts of a site that `where` may name."""
