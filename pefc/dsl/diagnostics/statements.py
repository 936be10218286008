"""Mistakes in tasks, modifiers, recipes and what stands inside them."""

from dataclasses import dataclass

from ..syntax.source import Span
from .report import Diagnostic, Fix, Label
from .suggestions import listing, nearest, suggestion


@dataclass(frozen=True)
class NotModified(Diagnostic):
    """A modifier stands around a statement that it cannot change.

        gate(unipelt) {
          tune on norm
          lora(r=8) on attn.q
        }

    A gate multiplies what a method changes at its site, and `adapterdrop` leaves it out. `tune` is
    about the parameters of the base. Move the statement out of the braces.
    """

    modifier: str
    span: Span
    around: Span

    def title(self) -> str:
        return f"`{self.modifier}` does not change `tune`"

    def labels(self) -> tuple[Label, ...]:
        return (
            Label(self.span, "this is about the parameters of the base"),
            Label(self.around, "this stands around it"),
        )

    def help(self) -> str:
        return "move it out of the braces"


@dataclass(frozen=True)
class NestedGate(Diagnostic):
    """A gate stands around a gate.

        gate(unipelt) {
          gate(unipelt) { lora(r=8) on attn.q }
        }

    A method has one gate at a site. A bare `gate(unipelt)` takes in all methods above it in its
    block, those in braces and in recipes too, so that they need no gate of their own.
    """

    span: Span
    outer: Span

    def title(self) -> str:
        return "a gate stands inside of a gate"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "gated here"), Label(self.outer, "and gated again here"))

    def help(self) -> str:
        return "take one of the two out"


@dataclass(frozen=True)
class MissingTarget(Diagnostic):
    """A statement does not say where, and the method needs it.

        lora(r=8)

    Write `on SELECTOR`. Only methods for attention and for the whole model can go without.
    """

    method: str
    site: str
    span: Span

    def title(self) -> str:
        return f"`{self.method}` needs `on SELECTOR`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"to which {self.site} sites is not said"),)

    def help(self) -> str | None:
        example = {"linear": "attn.q, attn.v", "block": "ffn", "norm": "norm", "embedding": "embed"}
        return f"for example `{self.method} on {example.get(self.site, 'linear')}`"


@dataclass(frozen=True)
class UnwantedTarget(Diagnostic):
    """A method for the whole model is given a selector or layers.

        prompt(len=20) on attn.q

    A prompt lengthens the input of the model and has no other place: leave the selector out.
    """

    method: str
    span: Span

    def title(self) -> str:
        return f"`{self.method}` applies to the whole model"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "it cannot be attached to a part"),)

    def help(self) -> str | None:
        return "leave the selector out"


@dataclass(frozen=True)
class UnwantedClause(Diagnostic):
    """A clause follows something that it says nothing about, such as `as` after a recipe.

        lora(r=8) on attn.q
        gate(unipelt) as style

    `as`, `expect` and `with` belong to attachments of a method; recipes, modifiers, `quantize` and
    `fuse` take fewer.
    """

    name: str
    clause: str
    span: Span
    allowed: str

    def title(self) -> str:
        return f"`{self.name}` takes no `{self.clause}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"`{self.clause}` has no meaning here"),)

    def notes(self) -> tuple[str, ...]:
        return (self.allowed,)


@dataclass(frozen=True)
class DuplicateLabel(Diagnostic):
    """Two attachments have one label on the same selection, so that the names of their tensors
    would collide.

        lora(r=8) on attn.q
        lora(r=4) on attn.q

    Name one of them with `as`; the label is part of the names in the saved file.
    """

    label: str
    span: Span
    first: Span

    def title(self) -> str:
        return f"two attachments are labelled `{self.label}` on the same sites"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "the second one"), Label(self.first, "the first one"))

    def help(self) -> str | None:
        return "name one of them with `as`"


@dataclass(frozen=True)
class UnknownFact(Diagnostic):
    """A `where` condition names something that is neither a fact of a site nor a constant.

        lora(r=8) on linear where width >= 1024

    The facts of a site are `in`, `out`, `layer` and, at attention, `heads`, `kv_heads` and
    `head_dim`.
    """

    name: str
    span: Span
    known: tuple[str, ...]
    constants: tuple[str, ...]

    def title(self) -> str:
        return f"`{self.name}` is no fact of a site"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "neither a fact nor a constant"),)

    def notes(self) -> tuple[str, ...]:
        return (f"the facts are {listing(self.known)}",)

    def help(self) -> str | None:
        return suggestion(self.name, (*self.known, *self.constants))


@dataclass(frozen=True)
class NotCondition(Diagnostic):
    """A `where` holds something that is neither true nor false.

        lora(r=8) on linear where in + 1024

    Compare something: `where in >= 1024 and out % 64 == 0`.
    """

    span: Span

    def title(self) -> str:
        return "`where` needs a condition"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "neither true nor false"),)

    def help(self) -> str | None:
        return "compare it, for example `where in >= 1024`"


@dataclass(frozen=True)
class NestedTooDeep(Diagnostic):
    """A construct is nested so deeply that following it would exhaust the stack.

        gate(unipelt) { gate(unipelt) { gate(unipelt) {
          gate(unipelt) { gate(unipelt) { gate(unipelt) {
            gate(unipelt) { gate(unipelt) { gate(unipelt) { lora(r=8) on attn.q } } }
          } } }
        } } }

    Name the inner parts with `let`, or leave the nesting out.
    """

    span: Span

    def title(self) -> str:
        return "nested too deeply"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "too many levels inside each other"),)


@dataclass(frozen=True)
class UnknownSetting(Diagnostic):
    """`with` sets something other than `lr`, `decay` or `dtype`.

        lora(r=8) on attn.q with learning_rate=10x

    `lr` is a factor of the learning rate (`10x`) or a rate, `decay` the weight decay, `dtype` the
    dtype of new tensors; `lr.B` speaks of one tensor.
    """

    name: str
    span: Span
    known: tuple[str, ...]
    meant: str | None

    def title(self) -> str:
        return f"there is no setting `{self.name}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "unknown setting"),)

    def notes(self) -> tuple[str, ...]:
        return (f"the settings are {listing(self.known)}",)

    def help(self) -> str | None:
        return None if self.meant is None else f"did you mean `{self.meant}`?"


@dataclass(frozen=True)
class RepeatedSetting(Diagnostic):
    """One setting is given twice in a statement.

        lora(r=8) on attn.q with lr=10x, lr=2x

    Remove one of the two.
    """

    name: str
    span: Span
    first: Span

    def title(self) -> str:
        return f"`{self.name}` is set twice"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "set again here"), Label(self.first, "first set here"))


@dataclass(frozen=True)
class NegativeSetting(Diagnostic):
    """A learning rate or weight decay is negative.

        lora(r=8) on attn.q with decay=-0.1

    Rates and factors are at least 0.
    """

    name: str
    given: str
    span: Span

    def title(self) -> str:
        return f"`{self.name}` must be at least 0"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"this is {self.given}"),)


@dataclass(frozen=True)
class UnknownTensor(Diagnostic):
    """A setting speaks of a tensor that the method does not train.

        lora(r=8) on attn.q with lr.C=16x

    `pefc explain METHOD` shows the tensors of a method.
    """

    method: str
    tensor: str
    span: Span
    known: tuple[str, ...]

    def title(self) -> str:
        return f"`{self.method}` trains no tensor `{self.tensor}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "unknown tensor"),)

    def notes(self) -> tuple[str, ...]:
        return (f"`{self.method}` trains {listing(self.known)}",) if self.known else ()

    def help(self) -> str | None:
        return suggestion(self.tensor, self.known)


@dataclass(frozen=True)
class DtypeOfBase(Diagnostic):
    """A statement that trains the model's own parameters asks for another dtype.

        tune on norm with dtype=fp32

    `dtype` is that of tensors which a method adds. The parameters of the model have the dtype in
    which it was read: `from_pretrained(…, dtype=torch.float32)` reads it in another one.
    """

    name: str
    span: Span

    def title(self) -> str:
        return f"`{self.name}` adds no tensor that could have a dtype"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "the model's own parameters train"),)

    def notes(self) -> tuple[str, ...]:
        return ("they keep the dtype in which the model was read",)

    def help(self) -> str | None:
        return "take this setting out"


@dataclass(frozen=True)
class DtypeOfTensor(Diagnostic):
    """A setting gives one tensor of a statement a dtype of its own.

        lora(r=8) on attn.q with dtype.B=bf16

    What a statement trains has one dtype: `with dtype=bf16`.
    """

    tensor: str
    span: Span

    def title(self) -> str:
        return f"`{self.tensor}` cannot have a dtype of its own"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "`dtype` is that of a whole statement"),)

    def help(self) -> str | None:
        return "name no tensor: `with dtype=bf16`"


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
