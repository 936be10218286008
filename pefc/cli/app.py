"""What can be typed: the commands with their arguments. The work of each is imported when it
runs.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .io.errors import Style, reported
from .io.torch_import import loading

try:
    from .io.startup import QuickCommand, QuickGroup
except ImportError:  # a Typer with other insides: commands start a little later
    from typer.core import TyperCommand as QuickCommand
    from typer.core import TyperGroup as QuickGroup

app = typer.Typer(
    name="pefc",
    cls=QuickGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SpecName = Annotated[
    str, typer.Argument(metavar="SPEC", help="a .peft file, FILE.yaml#KEY, or - for standard input")
]
SpecNames = Annotated[
    list[str],
    typer.Argument(metavar="SPEC", help=".peft files, FILE.yaml#KEY, or - for standard input"),
]
ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="a folder, a hub id, or package.module:function that returns a model"
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="give a param of the spec another value"),
]
Force = Annotated[bool, typer.Option("--force", help="replace the adapter in OUT if one is there")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
OtherBase = Annotated[
    bool,
    typer.Option(
        "--other-base", help="take another base than the adapter's, and say how far it is off"
    ),
]


class Format(StrEnum):
    """How `pefc check` shows what it found."""

    FULL = "full"
    LINE = "line"
    JSON = "json"


class Dtype(StrEnum):
    """The dtypes that `pefc merge` writes."""

    BF16 = "bf16"
    FP16 = "fp16"
    FP32 = "fp32"


def _version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        typer.echo(f"pefc {__version__}")
        raise typer.Exit


@app.callback()
def start(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="print the version"),
    ] = False,
) -> None:
    """Compile .peft specs: what is added to a model, and where."""


@app.command(cls=QuickCommand)
def check(
    specs: SpecNames,
    overrides: Overrides = None,
    format: Annotated[Format, typer.Option(help="how mistakes are shown")] = Format.FULL,
    json: Annotated[bool, typer.Option("--json", help="the same as --format json")] = False,
) -> None:
    """Check specs: names, arguments, types. No model is needed."""
    from .commands.check import check as run

    style = Style.JSON if json else Style(format)
    with reported(style):
        run(tuple(specs), tuple(overrides or ()), style)


@app.command(cls=QuickCommand)
def fmt(
    specs: SpecNames,
    check: Annotated[
        bool, typer.Option("--check", help="change nothing; exit with 1 if something would change")
    ] = False,
) -> None:
    """Rewrite specs in canonical form, with their comments."""
    from .commands.fmt import fmt as run

    with reported():
        run(tuple(specs), only_check=check)


@app.command(cls=QuickCommand)
def explain(
    word: Annotated[
        str, typer.Argument(metavar="CODE-OR-METHOD", help="as in error[CODE], or as in a spec")
    ],
) -> None:
    """Print the manual entry of a diagnostic, method, recipe, kind of site or function."""
    from .commands.manual import explain as run

    with reported():
        run(word)


@app.command(cls=QuickCommand)
def methods() -> None:
    """List the methods and recipes that ship."""
    from .commands.manual import methods as run

    run()


@app.command(cls=QuickCommand)
def schema() -> None:
    """Print the JSON schema of a spec that is written as a structure in a config."""
    from .commands.manual import schema as run

    run()


@app.command(cls=QuickCommand)
def roles(model: ModelName, json: AsJson = False) -> None:
    """Show what is where in a model."""
    with loading():
        from .commands.roles import roles as run

    with reported(Style.of(json=json)):
        run(model, as_json=json)


@app.command(cls=QuickCommand)
def plan(
    spec: SpecName,
    model: ModelName,
    overrides: Overrides = None,
    train: Annotated[
        str | None,
        typer.Option(
            metavar="KEY=VALUE,…",
            help="tell the memory of a step of training, such as `batch=4,len=512`; also `dtype=`"
            " bf16, fp16 or fp32, `optimizer=` as for `pefc.optimizer`, and, alone,"
            " `checkpointing` and `padding`",
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Show what a spec would do to a model, which may be without weights."""
    with loading():
        from .commands.plan import plan as run

    with reported(Style.of(json=json)):
        run(spec, model, tuple(overrides or ()), train=train, as_json=json)


@app.command(cls=QuickCommand)
def compile(
    spec: SpecName,
    model: ModelName,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="OUT", help="the adapter folder to write")
    ],
    overrides: Overrides = None,
    force: Force = False,
) -> None:
    """Write the adapter folder with its initial values, ready to train or to load."""
    with loading():
        from .commands.compile import compile as run
        from .io.outputs import adapter_folder

    with reported():
        run(spec, model, tuple(overrides or ()), adapter_folder(out, force=force))


@app.command(cls=QuickCommand)
def combine(  # noqa: PLR0913, PLR0917  (one for each option)
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER", help="adapter folders")],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="OUT", help="the adapter folder to write")
    ],
    how: Annotated[
        str, typer.Option(metavar="WAY", help="linear, ties, dare, magnitude, svd or cat")
    ],
    weights: Annotated[
        str | None, typer.Option(metavar="W,W", help="of each adapter; by default a mean")
    ] = None,
    density: Annotated[
        float | None, typer.Option(help="the share of numbers that ties, dare, magnitude keep")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="of what dare leaves out; 0 by default")] = None,
    rank: Annotated[
        int | None, typer.Option(help="of the result of svd; by default the largest")
    ] = None,
    force: Force = False,
) -> None:
    """Make one adapter folder of several that have one base and one form."""
    with loading():
        from .commands.combine import combine as run
        from .io.outputs import adapter_folder

    with reported():
        run(
            tuple(folders),
            adapter_folder(out, force=force),
            how=how,
            weights=weights,
            density=density,
            seed=seed,
            rank=rank,
        )


@app.command(cls=QuickCommand)
def prune(
    adapter: Annotated[
        Path, typer.Argument(metavar="ADAPTER", help="an adapter folder with `fuse`")
    ],
    model: ModelName,
    data: Annotated[
        str, typer.Option(metavar="FUNCTION", help="package.module:function that gives batches")
    ],
    keep: Annotated[int, typer.Option(metavar="K", help="how many tasks stay at each place")],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="OUT", help="the adapter folder to write")
    ],
    other_base: OtherBase = False,
    force: Force = False,
) -> None:
    """Keep, at each place of a fusion, the tasks that have most weight on some data."""
    with loading():
        from .commands.prune import prune as run
        from .io.outputs import adapter_folder

    with reported():
        folder = adapter_folder(out, force=force)
        run(adapter, model, data, keep=keep, out=folder, other_base=other_base)


@app.command(cls=QuickCommand)
def merge(
    base: Annotated[Path, typer.Argument(metavar="BASE", help="a folder with a whole model")],
    adapter: Annotated[Path, typer.Argument(metavar="ADAPTER", help="an adapter folder")],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="OUT", help="the folder of the model to write")
    ],
    loss: Annotated[
        float,
        typer.Option(help="the share of an update that the dtype of a weight may lose"),
    ] = 0.05,
    into: Annotated[
        Dtype | None, typer.Option(help="the dtype of all weights; as in BASE by default")
    ] = None,
    requantize: Annotated[
        bool,
        typer.Option(
            "--requantize",
            help="round the sums as the adapter's base is quantized, and say the loss",
        ),
    ] = False,
    other_base: OtherBase = False,
) -> None:
    """Write a whole model with an adapter in its weights, reading a tensor at a time."""
    with loading():
        from .commands.merge import merge as run

    if into is not None and requantize:
        raise typer.BadParameter("give --into or --requantize, not both")
    if not loss >= 0:
        raise typer.BadParameter("--loss is a share of the update, from 0 on")
    with reported():
        run(
            base,
            adapter,
            out,
            loss=loss,
            into=into,
            requantize=requantize,
            other_base=other_base,
        )


@app.command(cls=QuickCommand)
def graph(
    spec: SpecName,
    model: ModelName,
    overrides: Overrides = None,
    site: Annotated[
        str | None, typer.Option(metavar="SELECTOR", help="only what is named, as behind `on`")
    ] = None,
    layer: Annotated[
        int | None, typer.Option(metavar="N", help="only what stands in this layer")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write a page instead of printing")
    ] = None,
) -> None:
    """Show the graph before and after, and each patch as its formula and as it runs."""
    with loading():
        from .commands.graph import Where
        from .commands.graph import graph as run

    if site is not None and layer is not None:
        raise typer.BadParameter("give --site or --layer, not both")
    with reported():
        run(spec, model, tuple(overrides or ()), Where(site, layer), html)


@app.command(cls=QuickCommand)
def verify(spec: SpecName, model: ModelName, overrides: Overrides = None) -> None:
    """Measure on this model what the plan promises: identity, both linkers, merge, remove."""
    with loading():
        from .commands.verify import verify as run

    with reported():
        run(spec, model, tuple(overrides or ()))
