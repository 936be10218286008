from pathlib import Path

import pefc

from ..models import plain
from .conftest import Run


def test_what_was_made_is_said(run: Run, tmp_path: Path) -> None:
    for name in "ab":
        pefc.save(pefc.apply("lora(r=2) on attn.{q,v}", plain()), tmp_path / name)
    result = run("combine", "a", "b", "-o", "out", "--how", "cat", "--weights", "0.7,0.3")
    assert result.exit_code == 0, result.stderr
    said = "out: cat of 2 adapters (weights 0.7, 0.3), 4 tensors, 384 trained parameters, "
    assert result.stdout.startswith(said)
    assert result.stdout.endswith(" KiB\n")
    assert result.stdout.count("\n") == 1
    assert pefc.load(plain(), tmp_path / "out").a.lora.A.shape == (4, 24)
