"""The patches of a plan as functions, and the tensors that they read."""

from .casts import CASTS as CASTS
from .casts import with_casts as with_casts
from .codegen import called as called
from .codegen import function as function
from .codegen import with_call as with_call
from .forms import NO_TASK as NO_TASK
from .forms import Form as Form
from .forms import forms as forms
from .patches import Patches as Patches
from .patches import form as form
from .patches import members as members
from .patches import tasks_of as tasks_of
from .tensors import Materials as Materials
from .tensors import beside as beside
from .tensors import materialize as materialize
from .text_embeddings import Tokenize as Tokenize
from .text_embeddings import tokenize_as as tokenize_as
from .text_embeddings import tokenize_with as tokenize_with
