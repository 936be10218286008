"""Attention with patches: masks, the registry of transformers, the product itself."""

from .forward import attended as attended
from .forward import attention_forward as attention_forward
from .forward import extended as extended
