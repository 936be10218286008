"""Statements, from top to bottom: what each becomes in the checked spec."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .. import diagnostics
from ..checked import Attachment, Modified, Step, Tuning, Value
from ..diagnostics.report import Diagnostic
from ..syntax.method import Alias, Method, Use
from ..syntax.source import Span
from ..syntax.statement import (
    Attach,
    Constant,
    Import,
    Modify,
    Recipe,
    Statement,
    Task,
    TuneStatement,
)
from ..syntax.vocabulary import FUSION, MODIFIERS
from .arguments import bind, uncounted
from .attachments import attachment, fusion, quantization, tuning, unwanted
from .constants import define
from .names import meaning
from .parameters import builtin_table
from .recipes import expanded, rehearsed
from .scope import Run, Scope, Usable

DEEPEST = 8
"""Blocks and recipes inside each other."""
MOST = 10_000
"""Statements that recipes may stand for, all together."""


@dataclass(frozen=True, slots=True)
class Block:
    """Where statements stand."""

    scope: Scope
    run: Run
    task: str | None = None
    modifier: str | None = None
    """The innermost that they stand in."""
    depth: int = 0
    overrides: Mapping[str, Value] = field(default_factory=dict[str, Value])


def steps_of(statements: tuple[Statement, ...], block: Block) -> tuple[Step, ...]:
    """The steps of the statements of a block."""
    steps: list[Step] = []
    run = block.run
    for statement in statements:
        try:
            _read(statement, steps, block)
        except RecursionError:
            run.found.append(diagnostics.NestedTooDeep(statement.span))
    return tuple(steps)


def _read(statement: Statement, steps: list[Step], block: Block) -> None:
    match statement:
        case Attach():
            _attach(statement, steps, block)
        case TuneStatement():
            steps.append(tuning(statement, block.scope, block.run, block.task))
        case Modify():
            _modify(statement, steps, block)
        case Task():
            steps.extend(_task(statement, block))
        case Constant() if not block.depth:
            define(statement, block.scope, block.run, overrides=block.overrides)
        case Constant() | Import() | Recipe() | Method() | Alias():
            if block.depth:
                block.run.found.append(_nested(statement))


def _attach(statement: Attach, steps: list[Step], block: Block) -> None:
    scope, run, use = block.scope, block.run, statement.use
    match use.name:
        case "quantize":
            _of_all(block, use.name_span)
            steps.append(quantization(statement, scope, run))
        case "fuse":
            if block.task is not None:
                run.found.append(diagnostics.FusionInTask(block.task, use.name_span))
            steps.append(fusion(statement, scope, run))
        case "gate" | "adapterdrop":
            _trailing(statement, steps, block)
        case name:
            found = meaning(name, use.name_span, scope, run)
            if isinstance(found, Usable):
                steps.append(attachment(statement, found, scope, run, block.task))
            elif isinstance(found, Recipe):
                unwanted(statement, run, "a recipe says itself where its statements go")
                steps.extend(_expand(use, found, block))


def _of_all(block: Block, span: Span) -> None:
    """Reports what changes the base of all tasks where it stands in one, or in a modifier."""
    if block.modifier is not None:
        block.run.found.append(diagnostics.InnerQuantize(span, f"`{block.modifier}`"))
    elif block.task is not None:
        block.run.found.append(diagnostics.InnerQuantize(span, f"the task `{block.task}`"))


def _expand(use: Use, recipe: Recipe, block: Block) -> tuple[Step, ...]:
    run = block.run
    if run.steps > MOST:
        if not run.is_full:
            run.found.append(diagnostics.TooManySteps(use.name, MOST, use.span))
        run.is_full = True
        return ()
    if block.depth >= DEEPEST:
        run.found.append(diagnostics.NestedTooDeep(use.span))
        return ()
    inner = expanded(use, recipe, block.scope, run)
    if inner is None:
        return ()
    run.steps += len(inner[0])
    outer, run.expanding = run.expanding, (*run.expanding, recipe.name)
    steps = steps_of(inner[0], replace(block, scope=inner[1], depth=block.depth + 1))
    run.expanding = outer
    return steps


def rehearse(recipe: Recipe, block: Block) -> None:
    """Reports the mistakes of a recipe that nothing used."""
    run = block.run
    run.expanding = (recipe.name,)
    labels, run.labels = run.labels, {}
    steps_of(rehearsed(recipe, block.scope, run), Block(block.scope, run, depth=block.depth + 1))
    run.expanding, run.labels = (), labels


def _trailing(statement: Attach, steps: list[Step], block: Block) -> None:
    """A modifier on its own line takes in the attachments above it in its block."""
    use, run = statement.use, block.run
    unwanted(statement, run, "a modifier goes where the statements that it modifies go")
    arguments = _modifier_arguments(use, block)
    if use.name != "gate":
        run.found.append(diagnostics.NeedsBlock(use.name, use.span))
        return
    body = tuple(step for step in steps if isinstance(step, Attachment | Modified))
    if not body:
        run.found.append(diagnostics.NothingToModify(use.name, use.span))
        return
    steps[:] = [step for step in steps if not isinstance(step, Attachment | Modified)]
    _look_inside(use, body, run)
    steps.append(Modified(use.name, arguments, body, statement.span))


def _modify(statement: Modify, steps: list[Step], block: Block) -> None:
    use, run = statement.use, block.run
    if block.depth >= DEEPEST:
        run.found.append(diagnostics.NestedTooDeep(use.span))
        return
    known = use.name in MODIFIERS
    if not known:
        run.found.append(diagnostics.NotModifier(use.name, use.name_span, MODIFIERS))
    if not statement.body:
        run.found.append(diagnostics.EmptyBlock(f"the block of `{use.name}`", statement.span))
    arguments = _modifier_arguments(use, block) if known else ()
    body = steps_of(statement.body, replace(block, modifier=use.name, depth=block.depth + 1))
    if known:
        _look_inside(use, body, run)
    steps.append(Modified(use.name, arguments, body, statement.span))


def _look_inside(use: Use, body: tuple[Step, ...], run: Run) -> None:
    """Reports what a modifier does not change, and gates in a gate."""
    for step in body:
        match step:
            case Modified():
                if use.name == step.modifier == "gate":
                    run.found.append(diagnostics.NestedGate(step.span, use.span))
                else:
                    _look_inside(use, step.body, run)
            case Tuning():
                run.found.append(diagnostics.NotModified(use.name, step.span, use.span))
            case _:
                pass


def _modifier_arguments(use: Use, block: Block) -> tuple[tuple[str, Value], ...]:
    constants, found = block.scope.constants, block.run.found
    bound = bind(use, builtin_table(use.name), constants=constants, found=found)
    if use.name == "adapterdrop":
        found.extend(uncounted(use, bound))
    return bound


def _task(statement: Task, block: Block) -> tuple[Step, ...]:
    run, name, span = block.run, statement.name, statement.name_span
    first = run.tasks.get(name)
    if name == FUSION:
        run.found.append(diagnostics.TakenByFusion(span))
    if block.depth:
        run.found.append(diagnostics.NestedTask(name, span))
    elif first is not None and first is not statement:
        run.found.append(diagnostics.DuplicateTask(name, span, first.name_span))
    if not statement.body:
        run.found.append(diagnostics.EmptyBlock(f"the task `{name}`", statement.span))
    return steps_of(statement.body, replace(block, task=name, depth=block.depth + 1))


def _nested(statement: Constant | Import | Recipe | Method | Alias) -> Diagnostic:
    match statement:
        case Import(span=span):
            return diagnostics.NestedDefinition("a file is imported", span)
        case Constant(name=name, name_span=span):
            return diagnostics.NestedDefinition(f"the constant `{name}` is defined", span)
        case Recipe(name=name, name_span=span):
            return diagnostics.NestedDefinition(f"the recipe `{name}` is defined", span)
        case Method(name=name, name_span=span) | Alias(name=name, name_span=span):
            return diagnostics.NestedDefinition(f"the method `{name}` is defined", span)
