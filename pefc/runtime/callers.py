"""Callers: whether it is a Trainer of transformers that calls a method of a model. Its checkpoints
hold the adapter; what a user asks for stays the whole model.
"""

import sys
from types import FrameType


def is_trainer(caller: FrameType | None) -> bool:
    """Whether a frame is that of a method of a Trainer, or of a subclass of it."""
    trainers = sys.modules.get("transformers.trainer")
    if caller is None or trainers is None:
        return False
    return isinstance(caller.f_locals.get("self"), trainers.Trainer)


def trainer_above(frame: FrameType | None) -> object:
    """The Trainer whose step of training a frame belongs to; None where it belongs to none."""
    while frame is not None:
        if frame.f_code.co_name == "training_step" and is_trainer(frame):
            return frame.f_locals["self"]
        frame = frame.f_back
    return None


def checks_quantization(caller: FrameType | None) -> bool:
    """Whether a frame is that in which a Trainer asks if a quantized model has something to
    train.
    """
    return caller is not None and caller.f_code.co_name == "validate_quantization_for_training"
