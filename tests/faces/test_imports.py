"""What pefc needs is what it declares, and bitsandbytes only where something is quantized."""

import logging
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import pefc
from pefc.runtime.quantized import library

from ..house.files import ROOT

SCRIPT = Path(__file__).parent / "everything.py"
FACE = Path(pefc.__file__)


def closure(requirements: list[str]) -> set[str]:
    """The distributions that an installation of these brings."""
    found: set[str] = set()
    todo = [(Requirement(text), "") for text in requirements]
    while todo:
        wanted, extra = todo.pop()
        name = canonicalize_name(wanted.name)
        if name in found or (wanted.marker and not wanted.marker.evaluate({"extra": extra})):
            continue
        found.add(name)
        try:
            inner = requires(name) or []
        except PackageNotFoundError:
            continue
        extras = ("", *wanted.extras)
        todo += [(Requirement(text), extra) for text in inner for extra in extras]
    return found


def undeclared() -> list[str]:
    """The modules here that a plain `pip install pefc` does not bring."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ours = {"pefc", *closure(project["dependencies"])}
    return [
        module
        for module, homes in packages_distributions().items()
        if ours.isdisjoint(canonicalize_name(home) for home in homes) and module.isidentifier()
    ]


def test_a_plain_installation_is_enough(tmp_path: Path) -> None:
    blocked = undeclared()
    assert {"bitsandbytes", "peft", "accelerate", "hypothesis", "pytest"} <= set(blocked)
    assert not {"torch", "transformers", "typer", "numpy"} & set(blocked)
    done = everything(tmp_path, *blocked)
    assert done.returncode == 0, done.stderr


def test_bitsandbytes_is_left_alone_until_something_is_quantized(tmp_path: Path) -> None:
    done = everything(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert "kernels" not in done.stderr


def test_advice_to_install_kernels_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "talkative.py").write_text(
        "import logging\n"
        'logger = logging.getLogger("bitsandbytes.backends")\n'
        'logger.warning("make sure you `pip install kernels`")\n'
        'logger.error("the library does not load")\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    library("talkative")
    logging.getLogger("bitsandbytes.backends").warning("what comes later")
    assert caplog.messages == ["the library does not load", "what comes later"]


def test_all_that_is_public_is_listed_and_can_be_had() -> None:
    assert dir(pefc) == sorted([*pefc.__all__, "__version__"])
    declared = set(re.findall(r"^ *from \.\S+ import (\w+) as \1$", FACE.read_text(), re.MULTILINE))
    assert declared == set(pefc.__all__)
    assert all(getattr(pefc, name).__doc__ for name in pefc.__all__)


def test_the_script_calls_all_functions() -> None:
    called = set(re.findall(r"pefc\.(\w+)\(", SCRIPT.read_text()))
    assert called == {name for name in pefc.__all__ if name.islower()}


def everything(folder: Path, *blocked: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, *blocked], cwd=folder, capture_output=True, text=True, check=False
    )


BROKEN = """\
import os
import pefc
from tests.models import llama

NF4 = "quantize(nf4) on linear"
plain = pefc.apply("lora(r=2) on attn.q", llama())
pefc.merge(plain, into="bf16").save_pretrained("base")
for os.environ["FAILURE"] in ("RuntimeError", "OSError", "AttributeError", "ImportError"):
    for act in (
        lambda: pefc.apply(NF4, llama()),
        lambda: pefc.compile(NF4, llama()).graph,
        lambda: pefc.base(NF4, "base"),
        lambda: pefc.optimizer(pefc.apply("lora on attn.q", llama()), kind="adamw8bit"),
    ):
        try:
            act()
        except pefc.SpecError as error:
            print(str(error).partition("]")[0], "lib is away" in str(error))
"""


def test_bitsandbytes_may_be_broken(tmp_path: Path) -> None:
    """Whatever it raises is a diagnostic, and only where something is quantized."""
    (tmp_path / "bitsandbytes").mkdir()
    text = "import builtins, os\nraise getattr(builtins, os.environ['FAILURE'])('lib is away')\n"
    (tmp_path / "bitsandbytes/__init__.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", BROKEN],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    quantizer, optimizer = "error[broken-quantizer True", "error[no-bitsandbytes True"
    assert done.stdout.splitlines() == 4 * [quantizer, quantizer, quantizer, optimizer]
