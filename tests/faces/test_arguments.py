"""Arguments of a wrong type or size: a sentence each, and the model as it was."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import pefc

from ..laws.snapshots import Snapshot
from ..models import llama

SPEC = "param r = 2\nparam s = 1.0\nlora(r=r, alpha=s) on attn.q"
TASKS = "task a { adapter(r=2) on ffn }\ntask b { adapter(r=2) on ffn }\nfuse(a, b) on ffn"
NAN = float("nan")

Call = Callable[[Any], object]
"""Of anything, since that is what it is about."""

PLAIN: tuple[tuple[Call, type[Exception], str], ...] = (
    (lambda m: pefc.apply(None, m), TypeError, "`spec` is None: give the text of a spec"),
    (lambda m: pefc.apply(3, m), TypeError, "`spec` is 3: give"),
    (lambda m: pefc.apply(b"lora on attn.q", m), TypeError, "`spec` is b'lora on attn.q': give"),
    (lambda m: pefc.apply({"lora": 8}, m), TypeError, "`spec` is of class `dict`"),
    (lambda m: pefc.apply(Path("a.peft"), m), TypeError, "give the spec that stands there"),
    (lambda m: pefc.apply("a.peft", m), ValueError, "name of a file, 'a.peft': give `pefc.read("),
    (lambda m: pefc.apply("a.yaml#peft", m), ValueError, "`pefc.read('a.yaml#peft')`"),
    (lambda m: pefc.apply(m, SPEC), TypeError, "give the spec first and the model second"),
    (lambda m: pefc.plan(3, m), TypeError, "`spec` is 3"),
    (lambda m: pefc.compile(None, m), TypeError, "`spec` is None"),
    (lambda m: pefc.apply(SPEC, m, params=3), TypeError, "`params` is 3: give a mapping"),
    (lambda m: pefc.apply(SPEC, m, params=["r"]), TypeError, "`params` is of class `list`"),
    (lambda m: pefc.apply(SPEC, m, params={3: 1}), TypeError, "`a name in params` is 3"),
    (lambda m: pefc.apply(SPEC, m, params={"r": None}), TypeError, "`params['r']` is None: give"),
    (lambda m: pefc.plan(SPEC, m, params={"r": torch.ones(1)}), TypeError, "of class `Tensor`"),
    (lambda m: pefc.compile(SPEC, m, params={"s": NAN}), ValueError, "`params['s']` is nan"),
    (
        lambda m: pefc.apply(pefc.check(pefc.parse(SPEC)), m, params={"r": 4}),
        ValueError,
        "`params` come too late",
    ),
    (lambda m: pefc.apply(SPEC, m, tokenizer=3), TypeError, "a tokenizer, or a function"),
    (lambda m: pefc.load(m, None), TypeError, "`folder` is None: give the path of a folder"),
    (lambda m: pefc.load(m, ""), ValueError, "`folder` is empty"),
    (lambda m: pefc.load(m, "out", task=3), TypeError, "`task` is 3: give the name of a task"),
    (lambda m: pefc.trace(m, 3), TypeError, "`inputs` is 3: give tensors by name"),
    (lambda m: pefc.trace(m, {"input_ids": [1, 2]}), TypeError, "`an input` is of class `list`"),
)
"""On a model without a spec."""

ATTACHED: tuple[tuple[Call, type[Exception], str], ...] = (
    (lambda m: pefc.optimizer(m, lr="x"), TypeError, "`lr` is 'x': give a number"),
    (lambda m: pefc.optimizer(m, lr=True), TypeError, "`lr` is True: give a number"),
    (lambda m: pefc.optimizer(m, lr=NAN), ValueError, "`lr` is nan: give a finite number"),
    (lambda m: pefc.optimizer(m, lr=-1), ValueError, "`lr` is -1: give a finite number"),
    (lambda m: pefc.optimizer(m, lr=1, decay=-1), ValueError, "`decay` is -1"),
    (lambda m: pefc.optimizer(m, lr=1, decay=None), TypeError, "`decay` is None"),
    (lambda m: pefc.optimizer(m, lr=1, kind=None), TypeError, "`kind` is None: give the name"),
    (lambda m: pefc.optimizer(m, lr=1, kind=torch.optim.SGD), TypeError, "the class `SGD`"),
    (lambda m: pefc.set_task(m, 3), TypeError, "`name` is 3: give the name of a task, or None"),
    (lambda m: pefc.set_task(m, ["a"]), TypeError, "`pefc.tasks` takes one for each row"),
    (lambda m: pefc.tasks(m, 3), TypeError, "`names` is 3: give a list"),
    (lambda m: pefc.tasks(m, "a"), TypeError, "`pefc.set_task` sets one for all rows"),
    (lambda m: pefc.tasks(m, ["a", 3]), TypeError, "`names[1]` is 3"),
    (lambda m: pefc.tasks(m, []), ValueError, "`names` is empty"),
    (lambda m: pefc.prune(m, [], keep="2"), TypeError, "`keep` is '2': give a whole number"),
    (lambda m: pefc.prune(m, [], keep=2.0), TypeError, "`keep` is 2.0"),
    (lambda m: pefc.prune(m, None, keep=2), TypeError, "`batches` is None"),
    (lambda m: pefc.prune(m, {"input_ids": 3}, keep=2), TypeError, "`[batch]` if there is one"),
    (lambda m: pefc.prune(m, torch.ones(2, 2), keep=2), TypeError, "`batches` is of class `Ten"),
    (lambda m: pefc.save(m, 3), TypeError, "`folder` is 3: give the path of a folder"),
    (lambda m: pefc.save("out", m), TypeError, "`folder` is of class `LlamaForCausalLM`"),
    (lambda m: pefc.save(m, ""), ValueError, "`folder` is empty"),
    (lambda m: pefc.save(m, "out", resume="yes"), TypeError, "`resume` is 'yes': give True or F"),
    (lambda m: pefc.save(m, "out", task=3), TypeError, "`task` is 3"),
    (lambda m: pefc.remove(m, task=3), TypeError, "`task` is 3"),
    (lambda m: pefc.merge(m, keep_base="yes"), TypeError, "`keep_base` is 'yes'"),
)
"""On a model with tasks and a fusion."""

FREE: tuple[tuple[Callable[[], object], type[Exception], str], ...] = (
    (lambda: pefc.parse(3), TypeError, "`text` is 3: give the text of a spec"),
    (lambda: pefc.parse("x.peft"), ValueError, "`text` is the name of a file"),
    (lambda: pefc.parse("", name=3), TypeError, "`name` is 3"),
    (lambda: pefc.read(None), TypeError, "`reference` is None: give the path of a file"),
    (lambda: pefc.check("lora on attn.q"), TypeError, "give what `pefc.parse` or `pefc.read`"),
    (lambda: pefc.check(pefc.parse(""), overrides=3), TypeError, "`overrides` is 3"),
    (lambda: pefc.check(pefc.parse(""), root="x"), TypeError, "`root` is 'x'"),
    (lambda: pefc.check(pefc.parse(""), tasks="x"), TypeError, "`tasks` is 'x'"),
    (lambda: pefc.combine("a", "o", how="cat"), TypeError, "`folders` is 'a': give a list"),
    (lambda: pefc.combine(["a", 3], "o", how="cat"), TypeError, "`folders[1]` is 3"),
    (lambda: pefc.combine(["a", "b"], None, how="cat"), TypeError, "`out` is None"),
    (lambda: pefc.combine(["a", "b"], "o", how=3), TypeError, "`how` is 3"),
    (lambda: pefc.combine(["a"], "o", how="cat", weights=3), TypeError, "`weights` is 3"),
    (lambda: pefc.combine(["a"], "o", how="cat", weights=["x"]), TypeError, "`weights[0]` is 'x'"),
    (lambda: pefc.combine(["a"], "o", how="ties", density="x"), TypeError, "`density` is 'x'"),
    (lambda: pefc.combine(["a"], "o", how="dare", seed="x"), TypeError, "`seed` is 'x'"),
    (lambda: pefc.combine(["a"], "o", how="svd", rank=1.5), TypeError, "`rank` is 1.5"),
)
"""Without a model."""

FACES: tuple[Call, ...] = (
    lambda m: pefc.apply(SPEC, m),
    lambda m: pefc.plan(SPEC, m),
    lambda m: pefc.compile(SPEC, m),
    pefc.trace,
    lambda m: pefc.save(m, "out"),
    lambda m: pefc.load(m, "out"),
    lambda m: pefc.set_task(m, "a"),
    lambda m: pefc.tasks(m, ["a"]),
    pefc.task_names,
    pefc.merge,
    pefc.remove,
    pefc.gates,
    pefc.ranks,
    pefc.regularizer,
    lambda m: pefc.optimizer(m, lr=0.1),
    lambda m: pefc.prune(m, [], keep=2),
)
"""Every function that takes a model."""


@pytest.fixture(scope="module")
def plain() -> nn.Module:
    return llama()


@pytest.fixture(scope="module")
def attached() -> nn.Module:
    return pefc.apply(TASKS, llama())


def assert_refuses(call: Callable[[], object], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    assert words in str(caught.value)


@pytest.mark.parametrize(("call", "kind", "words"), PLAIN, ids=range(len(PLAIN)))
def test_of_a_model_without_a_spec(
    plain: nn.Module, call: Call, kind: type[Exception], words: str
) -> None:
    before = Snapshot.of(plain)
    assert_refuses(lambda: call(plain), kind, words)
    before.assert_same(plain)


@pytest.mark.parametrize(("call", "kind", "words"), ATTACHED, ids=range(len(ATTACHED)))
def test_of_a_model_with_a_spec(
    attached: nn.Module, call: Call, kind: type[Exception], words: str, tmp_path: Path
) -> None:
    before = Snapshot.of(attached)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert_refuses(lambda: call(attached), kind, words)
    before.assert_same(attached)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("call", "kind", "words"), FREE, ids=range(len(FREE)))
def test_without_a_model(call: Callable[[], object], kind: type[Exception], words: str) -> None:
    assert_refuses(call, kind, words)


@pytest.mark.parametrize("call", FACES, ids=range(len(FACES)))
@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "`model` is None: give the model, a `torch.nn.Module`"),
        ("my-llama", "not its name: load it first"),
        (llama, "not what makes one"),
    ],
    ids=["none", "name", "function"],
)
def test_of_what_is_no_model(call: Call, given: object, words: str) -> None:
    assert_refuses(lambda: call(given), TypeError, words)


def test_lists_are_tuples_of_the_language(plain: nn.Module) -> None:
    spec = "param names = [1, 2]\nlora(r=2) on attn.q"
    made = pefc.plan(spec, plain, params={"names": [3, 4]})
    assert dict(made.checked.constants)["names"] == (3, 4)
