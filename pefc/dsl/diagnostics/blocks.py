"""Mistakes in tasks, modifiers, recipes and what stands inside them."""

from dataclasses import dataclass

from ..syntax.source import Span
from .report import Diagnostic, Fix, Label
from .suggestions import listing, nearest, suggestion


@dataclass(frozen=True)
class UnknownTask(Diagnostic):
    """`fuse` names a task that the spec does not define.

        task sst {
          adapter on ffn
        }
        task mnli {
          adapter on ffn
        }
        fuse(sst, mmli) on ffn

    Every member of a fusion is a `task` of the same file.
    """

    name: str
    span: Span
    known: tuple[str, ...]

    def title(self) -> str:
        return f"there is no task `{self.name}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "no `task` has this name"),)

    def notes(self) -> tuple[str, ...]:
        return (f"the tasks are {listing(self.known)}",) if self.known else ("there are no tasks",)

    def help(self) -> str | None:
        return suggestion(self.name, self.known)

    def fix(self) -> Fix | None:
        name = nearest(self.name, self.known)
        return None if name is None else Fix(self.span, name)


@dataclass(frozen=True)
class FewMembers(Diagnostic):
    """A fusion has fewer than two members.

        task sst {
          adapter on ffn
        }
        fuse(sst) on ffn

    Fusion mixes the adapters of several tasks: name at least two different ones.
    """

    span: Span

    def title(self) -> str:
        return "`fuse` needs at least two different tasks"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "nothing to mix here"),)


@dataclass(frozen=True)
class DuplicateTask(Diagnostic):
    """Two tasks have one name.

        task sst {
          adapter on ffn
        }
        task sst {
          lora(r=8) on attn.q
        }

    Rename one of them, or move the statements of both into one.
    """

    name: str
    span: Span
    first: Span

    def title(self) -> str:
        return f"the task `{self.name}` is defined twice"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "defined again here"), Label(self.first, "first defined here"))


@dataclass(frozen=True)
class EmptyBlock(Diagnostic):
    """A task, a recipe or a modifier has no statements inside.

        task sst {
        }

    Fill it or remove it.
    """

    what: str
    span: Span

    def title(self) -> str:
        return f"{self.what} is empty"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "no statements inside"),)


@dataclass(frozen=True)
class NestedTask(Diagnostic):
    """A task stands inside another task, a recipe or a modifier.

        task outer {
          task inner {
            adapter on ffn
          }
        }

    Tasks stand side by side at the top of a file: each has its own tensors.
    """

    name: str
    span: Span

    def title(self) -> str:
        return f"the task `{self.name}` is inside something else"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "not at the top of the file"),)

    def help(self) -> str | None:
        return "move it to the top of the file"


@dataclass(frozen=True)
class NestedDefinition(Diagnostic):
    """A method, a recipe, a constant or an import stands inside a block.

        task sst {
          method fast = lora(r=4)
          lora(r=4) on attn.q
        }

    Definitions hold for the whole file and stand at its top level.
    """

    what: str
    span: Span

    def title(self) -> str:
        return f"{self.what} inside a block"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "not at the top of the file"),)

    def help(self) -> str | None:
        return "move it to the top of the file"


@dataclass(frozen=True)
class NothingToModify(Diagnostic):
    """A modifier on its own line has nothing above it in its block.

        gate(unipelt)
        lora(r=8) on attn.q

    A bare `gate(unipelt)` gates what stands above it: move it below, or write `gate(unipelt) { …
    }`.
    """

    name: str
    span: Span

    def title(self) -> str:
        return f"`{self.name}` has nothing above it to modify"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "nothing is attached above in this block"),)

    def help(self) -> str | None:
        return f"move it below the statements that it modifies, or write `{self.span.text} {{ … }}`"


@dataclass(frozen=True)
class NeedsBlock(Diagnostic):
    """A modifier that holds for a block only is written without one.

        adapter on ffn
        adapterdrop(0..5)

    Write the statements that it modifies inside braces after it.
    """

    name: str
    span: Span

    def title(self) -> str:
        return f"`{self.name}` needs a block"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "which statements it modifies is not said"),)

    def help(self) -> str | None:
        return f"write `{self.span.text} {{ … }}`"


@dataclass(frozen=True)
class NotACount(Diagnostic):
    """`adapterdrop` is given a number of layers that no count can be.

        adapterdrop(-4..-1) {
          adapter on ffn
        }

    `adapterdrop(0..5)` leaves out the adapters of 0 to 5 layers, counted from the first. Both ends
    are at least 0, and the first is no more than the last; `eval` is at least 0.
    """

    name: str
    given: str
    span: Span

    def title(self) -> str:
        return f"`{self.name}` must count layers"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"this is {self.given}"),)

    def notes(self) -> tuple[str, ...]:
        return ("layers are counted from the first: `0..5` is none of them up to five",)


@dataclass(frozen=True)
class NotModifier(Diagnostic):
    """Something that is no modifier is followed by a block of statements.

        lora(r=8) {
          adapter on ffn
        }

    `gate` and `adapterdrop` are the modifiers.
    """

    name: str
    span: Span
    known: tuple[str, ...]

    def title(self) -> str:
        return f"`{self.name}` modifies nothing"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "a block may follow modifiers only"),)

    def notes(self) -> tuple[str, ...]:
        return (f"the modifiers are {listing(self.known)}",)

    def help(self) -> str | None:
        return suggestion(self.name, self.known)


@dataclass(frozen=True)
class TooManySteps(Diagnostic):
    """Recipes that use recipes grow beyond any use.

        recipe a() { tune bias on norm; tune bias on norm; tune bias on norm; tune bias on norm }
        recipe b() { a; a; a; a; a; a; a; a }
        recipe c() { b; b; b; b; b; b; b; b }
        recipe d() { c; c; c; c; c; c; c; c }
        recipe e() { d; d; d; d; d; d; d; d }
        recipe f() { e; e; e; e; e; e; e; e }
        f

    Use fewer recipes inside recipes.
    """

    name: str
    limit: int
    span: Span

    def title(self) -> str:
        return "the recipes of this spec expand into too much"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"`{self.name}` goes beyond {self.limit} statements"),)
