"""Mistakes with models that others have wrapped or changed: each function makes one, in an empty
working folder.
"""

from collections.abc import Callable

import torch
from accelerate import disk_offload
from peft import LoraConfig, get_peft_model
from torch import nn

import pefc

from ..models import llama


def wrapped_model() -> None:
    pefc.apply("lora on attn.q", torch.compile(llama(), backend="eager"))


def wrapped_in_copies() -> None:
    pefc.plan("lora on attn.q", nn.DataParallel(llama()))


def adapter_of_peft() -> None:
    pefc.apply("lora on attn.q", get_peft_model(llama(), LoraConfig(target_modules=["q_proj"])))


def offloaded_model() -> None:
    model = llama()
    disk_offload(model, "offloaded", execution_device=torch.device("cpu"))
    pefc.apply("lora on attn.q", model)


def replaced_embedding() -> None:
    model = pefc.apply("lora(r=2) on head, attn.q", llama())
    model.resize_token_embeddings(80)


def replaced_module() -> None:
    model = pefc.apply("lora(r=2) on head, attn.q", llama())
    model.lm_head = nn.Linear(24, 64)
    pefc.save(model, "out")


WRAPPING_MISTAKES: tuple[Callable[[], None], ...] = (
    wrapped_model,
    wrapped_in_copies,
    adapter_of_peft,
    offloaded_model,
    replaced_embedding,
    replaced_module,
)
