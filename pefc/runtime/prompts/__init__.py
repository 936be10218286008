"""New tokens before the text."""

from .backbone import Stem as Stem
from .backbone import memory_names as memory_names
from .backbone import stem_names as stem_names
from .embedding import embedding_names as embedding_names
from .embedding import trimmed_names as trimmed_names
from .generate import generating_names as generating_names
from .prompts import KIND as KIND
from .prompts import OnePrompt as OnePrompt
from .prompts import Prompts as Prompts
from .prompts import TaskPrompts as TaskPrompts
