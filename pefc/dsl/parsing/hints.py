"""What to do about a mistake in syntax, found by examples of the mistake: one that stops the parser
in the same state, at the same kind of token, is the same mistake.
"""

from functools import cache

from ..syntax.source import Source
from .automaton import Automaton
from .lexer import END, Scanner

ADVICE: dict[str, tuple[str, ...]] = {
    "write a selector after `on`, such as `attn.q, attn.v`": (
        "lora(r=8) on\n",
        "lora(r=8) on; gate(unipelt)",
        "lora(r=8) on",
        "gate(unipelt) { lora on }",
        "lora(r=8) on attn.q,",
        "tune bias on\n",
    ),
    "in quotes, a path may have any characters; `all-linear` is `linear`": (
        "lora on all-linear",
        "lora on attn.q, all-linear",
        "tune on all-linear",
    ),
    "terms are joined by commas, without brackets: `on attn.q, attn.v`": (
        "lora on [q_proj, v_proj]",
        'lora(r=8) on ["q_proj"]',
        "tune on [head]",
    ),
    "a constant is defined by `let r = 8`; `modules_to_save = head` is `tune on head`": (
        "modules_to_save = head",
        "r = 8",
        "target_modules = all",
    ),
    "write a value after `=`, such as `8` or `2 * r`": (
        "let r =",
        "let r = ;",
        "lora(r=) on attn.q",
        "lora(r=, alpha=16) on attn.q",
        "lora on attn.q with lr=",
        "method m(r: int =) on linear {}",
        "method m on linear { A: [out] = }",
    ),
    "a name and its value are joined by `=`": (
        "let r 8",
        "let r: 8",
        "lora(r: 8) on attn.q",
        "lora(r 8) on attn.q",
    ),
    "write `in` before `layers`": ("lora(r=8) layers 3", "lora(r=8) on attn.q layers 3"),
    "write `layers` after `in`": ("lora(r=8) on attn.q in 3", "lora(r=8) on attn.q in last"),
    "say which layers: `0..5`, `-4..-1`, or `0, 2, 4`": (
        "lora on attn.q in layers\n",
        "lora on attn.q in layers",
        "lora on attn.q in layers 0..\n",
    ),
    "one statement a line; `;` also separates": (
        "lora on attn.q lora on attn.v",
        "let r = 8 lora on attn.v",
        "gate(unipelt) { lora on attn.q } lora on attn.v",
        "gate(unipelt) lora on attn.v",
    ),
    'the name of a file stands in quotes: `import "methods.peft"`': (
        "import methods.peft",
        "import\n",
    ),
    "a label is a name, such as `as style`": (
        "lora on attn.q as 3",
        'lora on attn.q as "style"',
        "lora on attn.q as\n",
    ),
    "`expect` takes the number of sites": ("lora on attn.q expect few", "lora on attn.q expect\n"),
    "what belongs to it stands in braces": (
        "recipe both(r) lora on attn.q",
        "recipe both\n",
        "task sst\n",
        "task sst lora on attn.q",
        "method m on linear\n",
        "method m on linear A: [r] = 0",
        "method m on linear { if r > 3\n }",
    ),
    "give it a name": (
        "task {",
        "recipe {",
        "method on linear {",
        "let = 8",
        "param = 8",
        "task 3 {}",
    ),
    "say the kind of site: `on linear`, `on block`, …": ("method m {", "method m(r: int = 8) {"),
    "a type follows a colon: `r: int = 8`": (
        "method m(r int) on linear {}",
        "method m(r int = 8) on linear {}",
    ),
    "write a type, such as `int`, or members in braces": (
        "method m(r:) on linear {}",
        "method m(r: = 8) on linear {}",
    ),
    "join comparisons with `and`": ("lora on attn.q where 1 < in < 8", "let a = 1 < 2 < 3"),
    "comparing is `==`; `=` gives a value": (
        "lora on attn.q where in = 8",
        "method m on linear { if a = b {} }",
    ),
    "a dropout of the change is written `over dropout(0.1)`": (
        "method m on linear { weight += 1 over 0.1 }",
        "method m on linear { weight += 1 over drop(0.1) }",
    ),
    "a rule changes what it names by `=`, `+=`, `-=` or `*=`": (
        "method m on linear { weight 3 }",
        "method m on linear { weight }",
    ),
}
"""For each piece of advice the texts that call for it; each stops the parser at its mistake."""


def advise(state: int, kind: str) -> str | None:
    """What to do about a token of a kind that a state has refused."""
    return _places().get((state, kind))


def stopped(text: str) -> tuple[int, str]:
    """The state in which the parser refuses a token of a text, and the kind of that token."""
    source = Source("<example>", text)
    automaton, scanner = Automaton(source), Scanner(source)
    while automaton.feed(token := scanner.next(automaton.row)):
        assert token.kind != END, f"there is no mistake in {text!r}"
    return automaton.states[-1], token.kind


@cache
def _places() -> dict[tuple[int, str], str]:
    return {stopped(text): advice for advice, texts in ADVICE.items() for text in texts}
