"""Mistakes in finding and reading a spec: files, configs, and specs written as structures."""

from dataclasses import dataclass

from ..syntax.source import Span
from .report import Diagnostic, Label
from .suggestions import listing, suggestion


@dataclass(frozen=True)
class MissingFile(Diagnostic):
    """The file that should hold the spec does not exist.

        pefc check no_such_file.peft

    Look at the spelling, and at the folder from which the command is run.
    """

    path: str
    near: tuple[str, ...] = ()
    """Names of files in the same folder."""

    def title(self) -> str:
        return f'there is no file "{self.path}"'

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "no file has this name"),)

    def help(self) -> str | None:
        return suggestion(self.path.replace("\\", "/").rpartition("/")[2], self.near)


@dataclass(frozen=True)
class UnreadableFile(Diagnostic):
    """Something has the name that was given as the spec, and it cannot be read as a file.

        pefc check .

    Name a `.peft` file, or a config with `#` and a key.
    """

    path: str
    reason: str

    def title(self) -> str:
        return f'"{self.path}" cannot be read'

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, self.reason),)


@dataclass(frozen=True)
class TooLargeFile(Diagnostic):
    """A file is larger than any spec or config.

        pefc check model.peft

    Look at what was named; weights and data are no specs.
    """

    path: str
    limit: int

    def title(self) -> str:
        return f'"{self.path}" is larger than {self.limit:,} bytes'

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "too large for a spec or a config"),)


@dataclass(frozen=True)
class NotUtf8(Diagnostic):
    """A file is not text in UTF-8.

        pefc check weights.peft

    Save it as UTF-8; the place shows the first byte that is not.
    """

    span: Span
    byte: int

    def title(self) -> str:
        return f"byte {self.byte} is not UTF-8"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "not text from here on"),)

    def help(self) -> str | None:
        return "save the file as UTF-8"


@dataclass(frozen=True)
class NotASpec(Diagnostic):
    """The name of a file does not say that it is a spec or a config.

        pefc check train.txt

    A spec ends in `.peft`; a config in `.yaml`, `.yml`, `.toml` or `.json`.
    """

    path: str
    suffix: str

    def title(self) -> str:
        ending = f"`{self.suffix}`" if self.suffix else "no suffix"
        return f'"{self.path}" has {ending}, which is neither a spec nor a config'

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "this kind of file is not read"),)

    def notes(self) -> tuple[str, ...]:
        return ("a spec ends in `.peft`, a config in `.yaml`, `.yml`, `.toml` or `.json`",)

    def help(self) -> str | None:
        return suggestion(self.suffix, (".peft", ".yaml", ".yml", ".toml", ".json"))


@dataclass(frozen=True)
class NotAConfig(Diagnostic):
    """A key is asked for in a file that has none.

        pefc check train.peft#peft

    Only `.yaml`, `.yml`, `.toml` and `.json` have keys.
    """

    path: str
    key: str

    def title(self) -> str:
        return f'"{self.path}" has no keys, and `{self.key}` is asked for'

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "keys are in configs only"),)

    def help(self) -> str | None:
        return f"leave `#{self.key}` out"


@dataclass(frozen=True)
class BadConfig(Diagnostic):
    """A config cannot be read as YAML, TOML or JSON.

        peft: [lora(r=8) on attn.q

    The message is that of the format's own reader.
    """

    span: Span | None
    language: str
    reason: str

    def title(self) -> str:
        return f"this is not {self.language}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, self.reason),)


@dataclass(frozen=True)
class DuplicateKey(Diagnostic):
    """A table of a config has one key twice.

        peft:
          - {lora: {r: 8, r: 16}, on: attn.q}

    Keep one. (Most readers would silently keep the last.)
    """

    span: Span | None
    key: str

    def title(self) -> str:
        return f"the key `{self.key}` stands twice in one table"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "said again here"),)

    def help(self) -> str | None:
        return "keep one of them"


@dataclass(frozen=True)
class MissingKey(Diagnostic):
    """A config has no spec under the key that is asked for, or under `peft` if none is.

        pefc check train.yaml#model.adapter

    Dots lead into tables: `train.yaml#model.peft`.
    """

    path: str
    key: str
    known: tuple[str, ...]

    def title(self) -> str:
        return f'"{self.path}" has no key `{self.key}`'

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "the spec should stand under this key"),)

    def notes(self) -> tuple[str, ...]:
        return (f"the keys there are {listing(self.known[:12])}",) if self.known else ()

    def help(self) -> str | None:
        return suggestion(self.key.rpartition(".")[2], self.known)


@dataclass(frozen=True)
class UnknownKey(Diagnostic):
    """An entry of a spec that is written as a structure has a key that says nothing there.

        peft:
          - {lora: {r: 8}, onn: attn.q}

    An attachment is a method with its arguments, and `on`, `in`, `where`, `as`, `expect`, `with`.
    """

    span: Span | None
    key: str
    known: tuple[str, ...]

    def title(self) -> str:
        return f"the key `{self.key}` has no place here"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "not a part of this statement"),)

    def notes(self) -> tuple[str, ...]:
        return (f"beside the first key there may be {listing(self.known)}",)

    def help(self) -> str | None:
        return suggestion(self.key, self.known)


@dataclass(frozen=True)
class NotAPart(Diagnostic):
    """A value in a spec that is written as a structure is not of the kind that its place takes.

        peft:
          - {lora: {r: 8}, on: 3}

    `pefc schema` prints what each place takes.
    """

    span: Span | None
    what: str
    expected: str

    def title(self) -> str:
        return f"`{self.what}` takes {self.expected}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "something else stands here"),)


@dataclass(frozen=True)
class LooseText(Diagnostic):
    """A text in a spec that is written as a structure is not whole, or is more than one thing.

        peft:
          - {lora: {r: 8}, on: "attn.q; gate(unipelt)"}

    A value holds one expression or selector, on one line, with every bracket and quote closed.
    Statements are entries of their own.
    """

    span: Span | None
    what: str

    def title(self) -> str:
        return f"the text of `{self.what}` is not one whole thing"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "has an open bracket or quote, a separator or a comment"),)

    def help(self) -> str | None:
        return "close what is open; put further statements into entries of their own"
