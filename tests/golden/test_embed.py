"""Each config in embed/ is read: `NAME.SUFFIX.out` beside it shows the spec, `NAME.SUFFIX.err` the
mistakes.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from pefc.dsl.config.locate import read
from pefc.dsl.diagnostics.render import full
from pefc.dsl.diagnostics.report import SpecError
from pefc.dsl.format.page import format

FOLDER = Path(__file__).parent / "embed"
KEYS = {"text.yaml": "#model.peft"}
"""The key after the name of a config, where it is not `peft`."""

REFERENCES = {
    "missing-file": "unknown-ky.yaml",
    "unreadable-file": ".",
    "not-a-config": "not-utf8.peft#peft",
    "missing-key": "missing-key.yaml#model.peft",
}
"""Cases that are names, and no files."""


def cases() -> list[str]:
    return sorted(path.name for path in FOLDER.iterdir() if path.suffix not in {".out", ".err"})


@pytest.mark.parametrize("name", cases())
def test_files(
    name: str, golden: Callable[[Path, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FOLDER)
    assert_golden(name + KEYS.get(name, ""), FOLDER / name, golden)


@pytest.mark.parametrize("name", REFERENCES)
def test_references(
    name: str, golden: Callable[[Path, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FOLDER)
    assert_golden(REFERENCES[name], FOLDER / name, golden)


def test_large_files_are_not_read(
    golden: Callable[[Path, str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.peft").write_bytes(bytes(4_000_001))
    assert_golden("model.peft", FOLDER / "too-large-file", golden)


def test_no_output_is_orphaned() -> None:
    known = {*cases(), *REFERENCES, "too-large-file"}
    for path in FOLDER.iterdir():
        assert path.name in known or path.stem in known, path


def assert_golden(reference: str, path: Path, golden: Callable[[Path, str], None]) -> None:
    try:
        text = format(read(reference))
    except SpecError as error:
        golden(path.with_name(f"{path.name}.err"), "\n".join(map(full, error.diagnostics)))
        return
    golden(path.with_name(f"{path.name}.out"), text)
