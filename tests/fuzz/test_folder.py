"""Whatever an adapter folder holds, it is loaded or refused with a diagnostic, and the model is as
it was where it is refused.
"""

import json
import shutil
import warnings
from pathlib import Path
from random import Random

import pytest
import torch

import pefc
from pefc.compiler.state.read import read
from pefc.runtime.files import adapter_folder as folders

from ..models import perturb, plain
from .seeds import campaign

VALUES = (None, True, 0, -1, 1, 2**70, 10**400, 0.5, float("nan"), float("inf"), "", "a", [], {})
INPUTS = 600
SPEC = "lora(r=2) on a; fourierft(n=3) on b; tune on e"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = pefc.apply(SPEC, plain())
    perturb(model)
    path = tmp_path_factory.mktemp("fuzz") / "saved"
    pefc.save(model, path)
    return path


def changed_json(text: bytes, random: Random) -> bytes:
    """JSON with a value replaced, left out, or moved."""
    root = json.loads(text)
    for _ in range(random.randint(1, 3)):
        inner = root
        while isinstance(inner, dict | list) and inner:
            keys = list(inner) if isinstance(inner, dict) else range(len(inner))
            key = random.choice(list(keys))
            child = inner[key]
            if random.random() < 0.4 or not isinstance(child, dict | list) or not child:
                match random.randint(0, 3):
                    case 0:
                        del inner[key]
                    case 1 if isinstance(inner, dict):
                        inner[random.choice(("", "x", "\0", "../x", "shape"))] = inner.pop(key)
                    case _:
                        inner[key] = random.choice((*VALUES, [child], {"a": child}, str(child)))
                break
            inner = child
    return json.dumps(root).encode()


def changed_bytes(content: bytes, random: Random) -> bytes:
    """Bytes with a few of them replaced, cut off, or added."""
    made = bytearray(content)
    for _ in range(random.randint(1, 4)):
        match random.randint(0, 3):
            case 0:
                del made[random.randint(0, len(made)) :]
            case 1:
                made += random.randbytes(random.randint(1, 40))
            case _ if made:
                made[random.randrange(min(len(made), 1500))] = random.randint(0, 255)
            case _:
                pass
    return bytes(made)


def changed_header(content: bytes, random: Random) -> bytes:
    """Tensors whose header is other JSON."""
    length = int.from_bytes(content[:8], "little")
    header = changed_json(content[8 : 8 + length], random)
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


def spoil(folder: Path, random: Random) -> None:
    """Change one file, and mostly what the manifest says of it, so that what is inside is read."""
    name = random.choice(("plan.json", "plan.json", "adapter.safetensors", "spec.peft"))
    content = (folder / name).read_bytes()
    ways = [changed_bytes]
    if name == "plan.json":
        ways = [changed_json, changed_json, changed_json, changed_bytes]
    elif name == "adapter.safetensors":
        ways = [changed_header, changed_header, changed_bytes]
    new = random.choice(ways)(content, random)
    (folder / name).write_bytes(new)
    if name != "plan.json" and random.random() < 0.9:
        manifest = json.loads((folder / "plan.json").read_text())
        manifest["files"][name] = folders._digest(new)
        (folder / "plan.json").write_text(json.dumps(manifest))


def test_folders_load_or_are_refused(saved: Path, tmp_path: Path) -> None:
    model = plain()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    codes: dict[str, int] = {}
    for random in campaign("adapter folders", INPUTS):
        folder = tmp_path / "spoiled"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(saved, folder)
        spoil(folder, random)
        try:
            read(folder)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", pefc.SpecWarning)
                pefc.load(model, folder)
        except pefc.SpecError as error:
            code = error.diagnostics[0].code()
            codes[code] = codes.get(code, 0) + 1
            assert "_pefc" not in model.__dict__
        else:
            codes["loaded"] = codes.get("loaded", 0) + 1
            model = plain()
        now = model.state_dict()
        assert now.keys() == before.keys()
        assert all(torch.equal(value, before[name]) for name, value in now.items())
    print(dict(sorted(codes.items())))
    assert codes.get("damaged-adapter")
