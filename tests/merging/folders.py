"""Bases and adapters in folders, and what merging them in memory gives."""

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForCausalLM, BertModel, PreTrainedModel

import pefc
from pefc.compiler.merge.folder.merge_folder import merge_folder
from pefc.compiler.merge.options import Wish

from ..models import output, perturb

Build = Callable[[], PreTrainedModel]


def loaded(folder: Path, like: nn.Module | None = None) -> PreTrainedModel:
    """The model of a folder, by transformers alone."""
    auto = AutoModel if isinstance(like, BertModel) else AutoModelForCausalLM
    return auto.from_pretrained(folder).eval()


def base(build: Build, folder: Path, *, shard: str = "10KB") -> PreTrainedModel:
    """A model that is saved in shards, as it is loaded again."""
    made = build()
    made.save_pretrained(folder / "base", max_shard_size=shard)
    return loaded(folder / "base", made)


def trained(build: Build, spec: str, folder: Path, *, scale: float = 0.3) -> nn.Module:
    """The model with an adapter that is not as it started; the base and the adapter are saved in
    `base` and `adapter`.
    """
    model = pefc.apply(spec, base(build, folder))
    perturb(model, scale=scale)
    pefc.save(model, folder / "adapter")
    return model.eval()


def merged(folder: Path, **wish: object) -> Path:
    """The folder of the merged model."""
    merge_folder(folder / "base", folder / "adapter", folder / "out", Wish(**wish))  # pyright: ignore[reportArgumentType]
    return folder / "out"


def tensors(folder: Path) -> dict[str, Tensor]:
    """Everything that the weight files of a folder hold."""
    return {
        name: tensor
        for path in folder.glob("*.safetensors")
        for name, tensor in load_file(path).items()
    }


def assert_same(found: Path, expected: Path) -> None:
    """The files hold the same tensors, bit for bit."""
    ours, theirs = tensors(found), tensors(expected)
    assert ours.keys() == theirs.keys()
    differing = [name for name in ours if not _same(ours[name], theirs[name])]
    assert differing == []


def _same(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other)


def close(found: nn.Module, expected: nn.Module, *, atol: float = 2e-5) -> None:
    """Both give the same outputs, which are of size one."""
    with torch.no_grad():
        torch.testing.assert_close(output(found), output(expected), atol=atol, rtol=1e-5)
