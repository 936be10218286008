"""Patching: the classes, tensors and wires that the modules of a model get."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from torch import nn
from transformers import PreTrainedModel

from ....dsl.diagnostics.attach_merge import ForwardReplaced
from ....dsl.diagnostics.report import SpecError
from ....runtime import quantized
from ....runtime.calls import (
    Drop,
    TextPart,
    Turns,
    again_names,
    drawing_names,
    layer_names,
    noting_names,
    turning_names,
)
from ....runtime.change import Change
from ....runtime.patched import NAME as UNPROVEN
from ....runtime.patched import (
    Argument,
    Aside,
    Tap,
    Tensors,
    base_class,
    is_bypassed,
    is_patched,
    keeping_names,
    passing_names,
    patched_class,
    proving_names,
    tapped_names,
)
from ....runtime.prompts import KIND
from ....runtime.quantized.form import form
from ....runtime.quantized.rows import readable_names
from ....runtime.tasks import Gates, Tasks, counting_names, recalling_names
from ....runtime.training import adding_names, asking_names, checkpoint_names
from ...lower import GATES, LeafFacts, LinearFacts, TokenFacts
from ...model import TokenPorts
from ...plan import Patched, Plan, keep_embeddings, unproven
from ...state import check_origin, write_checkpoint
from ..patch import Materials, Patches, tasks_of
from .backbone import stems
from .bindings import Wires, argument, dropping, drops_attribute, kind_attribute, names, wires
from .losses import passed_by, terms

Names = Callable[[type[nn.Module]], dict[str, object]]
Taps = tuple[tuple[Argument, Tap], ...]


@dataclass(slots=True)
class Patching:
    """Patches for one model, which is read; what becomes of it stands in a change."""

    model: nn.Module
    patches: Patches
    change: Change = field(default_factory=Change)
    classes: dict[object, type[nn.Module]] = field(default_factory=dict)
    tasks: Tasks = field(default_factory=lambda: Tasks(()))
    keeps: bool = False
    """Patches keep something of a call while it lasts."""
    texts: dict[str, TextPart] = field(default_factory=dict)
    """Where patches ask for the first or last tokens of a text: by the path of the module that is
    called with it.
    """

    def place(self, materials: Materials) -> None:
        """Put the tensors into the model."""
        for label, tensors in materials.shared.items():
            tensors.train(self.model.training)
            self.add_child(self.model, label, tensors)
        for (path, label), tensors in materials.children.items():
            module = self._at(path)
            tensors.train(module.training)
            self.add_child(module, label, tensors)

    def add_child(self, module: nn.Module, label: str, tensors: Tensors) -> None:
        """Add one child."""
        assert not hasattr(module, label) or label in module._modules, label
        self.change.draft(module._modules)[label] = tensors

    def pop_child(self, module: nn.Module, label: str) -> None:
        """Take one child out, if it is there."""
        self.change.draft(module._modules).pop(label, None)

    def patch(self, plan: Plan, *, linear: bool, through: frozenset[str] = frozenset()) -> None:
        """Put patches in place: first linear maps and other leaves, if asked for, or those at some
        paths, then what stands around them.
        """
        self.tasks.names = plan.tasks
        drops = tuple(Drop(each.numbers, each.fixed, each.seed) for each in plan.drops)
        if linear:
            self._keep_readable()
        for patched in plan.modules:
            is_wanted = linear or patched.path in through
            if is_wanted and isinstance(patched.facts, LinearFacts | LeafFacts):
                self._module(patched, drops, plan.table.tokens)
        for patched in plan.modules:
            if not isinstance(patched.facts, LinearFacts | LeafFacts | TokenFacts):
                self._module(patched, drops, plan.table.tokens)
        self._model(plan, drops)
        if linear and (state := unproven(plan, self.model)) is not None:
            self._derive(self.model, proving_names, "proving")
            self._set(self.model, UNPROVEN, state)

    def _keep_readable(self) -> None:
        """Weights in 8 bits are found again when processes have put them together."""
        for _, module in self.change.named_modules(self.model):
            kind = form(module)
            if kind is not None and kind.format == "int8":
                self._derive(module, readable_names, "readable")

    def _module(self, patched: Patched, drops: tuple[Drop, ...], tokens: TokenPorts | None) -> None:
        module = self._at(patched.path)
        wired = wires(patched, self.patches)
        self.keeps |= wired.keeps or bool(dropping(patched))
        shared = (patched.key, tuple(wired.own.items()), tuple(wired.tapped), _output(patched))
        self._derive(module, lambda base: names(patched, base, self.patches, wired), shared)
        self._wire(module, wired)
        if wired.squares:
            self._keep_squares(module)
        if tasks_of(patched):
            self._set(module, "pefc_tasks", self.tasks)
            self._set(module, "pefc_slot", None)
            self._set(module, kind_attribute(patched), 0)
        if wired.reads_text or wired.gated:
            text = self.texts.setdefault(_reader(patched, tokens), TextPart())
            self._set(module, "pefc_text", text)
            if wired.gated:
                self._set(module, GATES, Gates(text=text))
        if numbers := dropping(patched):
            self._set(module, drops_attribute(patched), tuple(drops[number] for number in numbers))
            self._set(module, "pefc_layer", patched.members[0].site.layer)

    def _wire(self, module: nn.Module, wired: Wires) -> None:
        if "x" in wired.own:
            self._set(module, "pefc_x", Tap())
        for name, entry in wired.tapped.items():
            tap = Tap()
            self._set(module, f"pefc_{name}", tap)
            source = self._at(entry.module)
            taps: Taps = self.change.attributes(source).get("pefc_taps", ())  # pyright: ignore[reportAssignmentType]
            if not taps:
                self._derive(source, tapped_names, "taps")
            self._set(source, "pefc_taps", (*taps, (argument(entry), tap)))
        for name, path in wired.modules.items():
            self._set(module, name, Aside(self._at(path)))

    def _note_texts(self) -> None:
        """A stem says where the tokens of a call stand, after it has put new ones before them."""
        for path, text in self.texts.items():
            stem = self._at(path)
            self._derive(stem, noting_names, "text")
            self._set(stem, "pefc_text", text)

    def _model(self, plan: Plan, drops: tuple[Drop, ...]) -> None:
        """What concerns the model as a whole: its tokens, their positions, the drawing of lots."""
        if plan.table.tokens is not None:
            self._note_texts()
        for path, made in stems(plan, self.model, self.patches):
            self._derive(self._at(path), made, object())
        if plan.tasks:
            self._derive(self.model, counting_names, "counting")
            self._set(self.model, "pefc_tasks", self.tasks)
            for path in _knowing(plan):
                self._know(self._at(path))
            for layer in self._layers(plan):
                self._derive(layer, recalling_names, "recalling")
                self._set(layer, "pefc_tasks", self.tasks)
        if drops:
            self._derive(self.model, drawing_names, "drawing")
            self._set(self.model, "pefc_drops", drops)
        self._keep_states(plan, drops)
        self._take_turns(plan)
        self._train(plan)

    def _train(self, plan: Plan) -> None:
        """The loss that the model returns, and the checkpoints that a Trainer writes."""
        if any(planned.method.losses for planned in plan.attachments):
            self._derive(self.model, adding_names, "adding")
            self._set(self.model, "pefc_terms", terms(plan))
        if self.change.class_of(self.model).forward is base_class(self.model).forward:
            self._derive(self.model, passing_names, "passing")
        elif is_bypassed(self.model):
            raise SpecError([ForwardReplaced(plan.attachments[0].span, plan.model)])
        if isinstance(self.model, PreTrainedModel):
            self._derive(self.model, checkpoint_names, "checkpoints")
            self._set(self.model, "pefc_checkpoint", write_checkpoint)
            self._set(self.model, "pefc_origin", check_origin)
            self._derive(self.model, keeping_names, "keeping")
            self._set(self.model, "pefc_keeping", keep_embeddings)
            if self._is_head_patched():
                self._derive(self.model, asking_names, "asking")
                self._set(self.model, "pefc_passed_by", passed_by)

    def _is_head_patched(self) -> bool:
        assert isinstance(self.model, PreTrainedModel)
        head = self.model.get_output_embeddings()
        path = next((path for path, m in self.model.named_modules() if m is head), None)
        return path is not None and is_patched(self.change.class_of(self._at(path)))

    def _know(self, module: nn.Module) -> None:
        """The new tokens of a module's calls depend on the task."""
        self._set(module, "pefc_tasks", self.tasks)
        self._set(module, "pefc_slot", None)
        self._set(module, KIND, 0)

    def _keep_states(self, plan: Plan, drops: tuple[Drop, ...]) -> None:
        """Layers take along what their patches ask of a call, for checkpoints."""
        states = (*self.texts.values(), *drops)
        if not states:
            return
        for layer in self._layers(plan):
            self._derive(layer, layer_names, "states")
            self._set(layer, "pefc_states", states)

    def _take_turns(self, plan: Plan) -> None:
        """Calls from several threads wait for each other where patches keep something of a call."""
        if not self.keeps:
            return
        turns = Turns()
        self._derive(self.model, turning_names, "turning")
        self._set(self.model, "pefc_turns", turns)
        for layer in self._layers(plan):
            self._derive(layer, again_names, "again")
            self._set(layer, "pefc_turns", turns)

    def _layers(self, plan: Plan) -> Iterator[nn.Module]:
        """The layers that have patches in them."""
        homes = [patched.path for patched in plan.modules]
        for path in dict.fromkeys(s.path for s in plan.table.sites if s.role == "layer"):
            if any(home == path or home.startswith(f"{path}.") for home in homes):
                yield self._at(path)

    def _at(self, path: str) -> nn.Module:
        return self.change.at(self.model, path)

    def _keep_squares(self, module: nn.Module) -> None:
        reading = quantized.read
        self.change.draft(module._buffers)[reading.SQUARES] = reading.fresh_row_squares(module)
        others = module._non_persistent_buffers_set
        self._set(module, "_non_persistent_buffers_set", {*others, reading.SQUARES})

    def _derive(self, module: nn.Module, made: Names, shared: object) -> None:
        """Give a module a subclass of its class; those of one class and one key share it."""
        before = self.change.class_of(module)
        key = (before, shared)
        if key not in self.classes:
            outlived = module is self.model
            self.classes[key] = patched_class(before, made(before), outlived=outlived)
        self.change.become(module, self.classes[key])

    def _set(self, module: nn.Module, name: str, value: object) -> None:
        """An attribute that is neither a parameter nor a child."""
        self.change.attributes(module)[name] = value


def _reader(patched: Patched, tokens: TokenPorts | None) -> str:
    """The path of the module that is called with the text which a module works on; "" where the
    model reads none. Keys and values of a cross-attention are made of the encoder's text.
    """
    if tokens is None:
        return ""
    memory, role = tokens.memory, patched.members[0].site.role
    is_later = memory is not None and f"{patched.path}.".startswith(f"{memory}.")
    if memory is not None and is_later and role not in {"xattn.k", "xattn.v"}:
        return memory
    return tokens.stem


def _knowing(plan: Plan) -> set[str]:
    """The modules whose new tokens depend on the task."""
    tokens = plan.table.tokens
    if tokens is None or not any(isinstance(p.facts, TokenFacts) for p in plan.modules):
        return set()
    return {"", tokens.stem, tokens.embed, tokens.memory or tokens.stem}


def _output(patched: Patched) -> object:
    output = getattr(patched.ports, "output", None)
    return None if output is None else output.index
