"""Merge into a model folder, tensor by tensor."""

from .merge_folder import merge_folder as merge_folder
