"""Methods that cannot stand at a site."""

from dataclasses import dataclass

from ..syntax.source import Span
from .report import Diagnostic, Label


@dataclass(frozen=True, slots=True)
class NoPorts(Diagnostic):
    """A method is attached to a module through which no value passes that it could change.

        adapter on "model.layers"

    A list of layers is never called itself. A block takes a tensor and returns one of the same
    width, and both show when the model is recorded. Select another module, or a role:
    `adapter on ffn`.
    """

    span: Span
    kind: str
    path: str
    reason: str

    def title(self) -> str:
        return f"`{self.path}` is no {self.kind} that can be changed"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, self.reason),)

    def help(self) -> str:
        return "`pefc roles MODEL` lists the blocks and attentions of the model"


@dataclass(frozen=True, slots=True)
class UnreachablePort(Diagnostic):
    """A formula reads a value that passes through no module's call at a site.

        adapter(parallel) on ffn

    A patch takes x and the residual stream where a module is called with them, and calls a
    projection, `k(P)`, where that is a linear module of its own. In a layer that adds them without
    calling a module, or projects with a bare weight, they cannot be had: choose a form that reads
    `y` alone, such as `adapter(sequential)`.
    """

    span: Span
    port: str
    path: str

    def title(self) -> str:
        return f"`{self.port}` cannot be read at `{self.path}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"the formula names `{self.port}`"),)

    def notes(self) -> tuple[str, ...]:
        return ("no module inside the layer is called with this value, or computes it alone",)

    def help(self) -> str:
        return "choose a form of the method that reads `y` alone, or another site"


@dataclass(frozen=True, slots=True)
class ClosedAttention(Diagnostic):
    """A method is attached to an attention whose product is written out in its forward.

        prefix(len=20) on attn

    Keys and values can be extended where a module goes through transformers' attention functions,
    or calls `scaled_dot_product_attention` in its own forward. A forward that multiplies and
    takes the softmax itself leaves no place between. Write it with
    `torch.nn.functional.scaled_dot_product_attention`, or attach to its linear maps instead.
    """

    span: Span
    path: str
    class_name: str

    def title(self) -> str:
        return f"the attention of `{self.path or self.class_name}` is written out"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "nothing can be put into this product"),)

    def notes(self) -> tuple[str, ...]:
        return (f"{self.class_name} multiplies and takes the softmax in its own forward",)

    def help(self) -> str:
        return "write it with `scaled_dot_product_attention`, or attach to its linear maps"


@dataclass(frozen=True, slots=True)
class NoTokens(Diagnostic):
    """A method on tokens meets a model that embeds none.

        prompt(len=20)

    New tokens stand before the embedded text: the model has to look ids up in an embedding and run
    its layers on them. For images and sounds, attach to attentions instead: `prefix`.
    """

    span: Span
    model: str
    reason: str

    def title(self) -> str:
        return f"{self.model} embeds no tokens that others could stand before"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "there is nothing to stand before"),)

    def notes(self) -> tuple[str, ...]:
        return (self.reason,)

    def help(self) -> str:
        return "use `prefix`, which extends the keys and values of attentions"


@dataclass(frozen=True, slots=True)
class UnequalShare(Diagnostic):
    """A tensor that sites share would have one shape at one site and another at another.

        method tied(len: int = 8) on attention {
          per model K: [len, kv_heads, head_dim] ~ normal(0, 1)
          extend keys, values by K, K
        }
        tied on attn

    `per model` tensors are made once. Where the attentions of a model differ in their heads, each
    shape needs a statement of its own: name the layers with `in layers`.
    """

    span: Span
    tensor: str
    path: str
    found: tuple[int, ...]
    first: tuple[int, ...]

    def title(self) -> str:
        return f"the shared `{self.tensor}` has no single shape"

    def labels(self) -> tuple[Label, ...]:
        return (
            Label(self.span, f"{list(self.found)} at `{self.path}`, {list(self.first)} before it"),
        )

    def help(self) -> str:
        return "write a statement for each kind of site"


@dataclass(frozen=True, slots=True)
class NoSites(Diagnostic):
    """A statement without a selector means every site of its method's kind, and there is none.

        prefix(len=20)

    A model without attention, such as Mamba, has no place for a prefix. Choose a method for
    another kind of site.
    """

    span: Span
    kind: str
    model: str

    def title(self) -> str:
        return f"{self.model} has no site of the kind `{self.kind}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "this would be attached nowhere"),)

    def help(self) -> str:
        return "`pefc roles MODEL` lists what the model has"


@dataclass(frozen=True, slots=True)
class NoPositions(Diagnostic):
    """`positions +=` meets a model whose forward takes no positions.

        prefix(len=20, shift) all layers

    The positions of tokens are moved by the `position_ids` of the model's forward. Models with
    relative positions, and some that count positions themselves, take none: leave `shift` out.
    """

    span: Span
    model: str

    def title(self) -> str:
        return f"{self.model} takes no positions that could be moved"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "this moves the positions of the text"),)

    def help(self) -> str:
        return "leave `shift` out: a prefix then has no position"


@dataclass(frozen=True, slots=True)
class OwnForward(Diagnostic):
    """A module acts as a linear map in its model, and its class has a forward of its own: what that
    computes beside the product with its weight is not known, so no formula can say what to change.

        class Scaled(nn.Linear):
            def forward(self, x):
                return 2 * super().forward(x)

        lora(r=2) on attn.q

    Put what it does beside the product into a module around it, or name other sites.
    """

    span: Span
    path: str
    name: str

    def title(self) -> str:
        return f"`{self.path}` is of the class `{self.name}`, which has a forward of its own"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "needs to know how its weight meets its input"),)

    def notes(self) -> tuple[str, ...]:
        return ("`nn.Linear`, `Conv1D` and bitsandbytes' maps are known, as they compute",)

    def help(self) -> str:
        return f"leave it out with `except {self.path}`, or move that forward around an `nn.Linear`"


@dataclass(frozen=True, slots=True)
class InferenceWeights(Diagnostic):
    """A model was made under `torch.inference_mode()`. Torch lets such weights neither take part in
    a backward pass nor change in place outside of that mode, so nothing beside them could train.

        with torch.inference_mode():
            model = AutoModelForCausalLM.from_pretrained(folder)
        pefc.apply("lora(r=2) on attn.q", model)

    Make or read the model outside of it; `torch.no_grad()` does no harm. Where you want answers
    alone, apply within that mode too.
    """

    span: Span
    path: str

    def title(self) -> str:
        return f"`{self.path}` was made under `torch.inference_mode()`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "could not train beside it"),)

    def help(self) -> str:
        return "make the model outside of `torch.inference_mode()`"
