"""A compiled spec: the plan, the rewritten graph, and the way into the living model."""

from dataclasses import dataclass, field

import torch
from torch import nn
from torch.fx import GraphModule

from ...dsl.checked import Checked
from ...dsl.syntax.vocabulary import FUSION
from ...runtime.change import Change
from ...runtime.patched import undrawn
from ...runtime.tasks import run_task
from ..plan import Plan, plan
from .graph import linked_graph
from .live import check_free, installing
from .patch import Materials, Patches, Tokenize, materialize
from .quantized import Modules, packed_modules, with_modules


@dataclass(slots=True)
class Program:
    """What `pefc.compile` returns. The tensors are made once, so `graph` and the applied model
    share them.
    """

    plan: Plan
    model: nn.Module = field(repr=False)
    patches: Patches = field(default_factory=Patches, repr=False)
    tokenize: Tokenize | None = field(default=None, repr=False)
    """How the model reads a text that an initial value is made from."""
    filled: bool = field(default=True, repr=False)
    """New tensors get their initial values; False where saved ones follow."""
    _modules: Modules | None = field(default=None, repr=False)
    _materials: Materials | None = field(default=None, repr=False)

    @property
    def modules(self) -> Modules:
        """The modules that the spec quantizes, beside those of the model."""
        if self._modules is None:
            with torch.inference_mode(mode=False):
                self._modules = packed_modules(self.plan, self.model)
        return self._modules

    @property
    def base(self) -> nn.Module:
        """The model with its quantized modules: the model itself where nothing is quantized."""
        return with_modules(self.model, self.modules)

    @property
    def materials(self) -> Materials:
        """The new tensors, with their initial values until somebody trains them."""
        if self._materials is None:
            with torch.inference_mode(mode=False):
                self._materials = materialize(
                    self.plan, self.base, self.tokenize, filled=self.filled
                )
        return self._materials

    @property
    def graph(self) -> GraphModule:
        """The whole traced model with every patch inlined at its site; it shares all parameters
        with the model.
        """
        return linked_graph(self.plan, self.base, self.materials, self.patches)

    def apply(self) -> nn.Module:
        """Put the patches into the model, in place, and return it. All or nothing.

        Raises SpecError where the model carries a spec already or a patch could not run. Whatever
        ends it early, the random states of torch are then as they were.
        """
        with undrawn({parameter.device for parameter in self.model.parameters()}):
            self.change().commit()
        return self.model

    def change(self) -> Change:
        """What `apply` is to do to the model, which is not changed yet."""
        check_free(self.plan, self.model)
        change = installing(self.plan, self.model, self.materials, self.patches, self.modules)
        if FUSION in self.plan.tasks:
            run_task(change, self.model, FUSION)
        return change


def compiled(
    checked: Checked,
    model: nn.Module,
    tokenize: Tokenize | None = None,
    *,
    filled: bool = True,
) -> Program:
    """Plan a spec on a model and lower it, so that every mistake shows now.

    Raises SpecError with every mistake.
    """
    program = Program(plan(checked, model), model, tokenize=tokenize, filled=filled)
    for patched in program.plan.modules:
        program.patches.forms(patched)
    return program
