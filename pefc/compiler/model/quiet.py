"""Quiet: what the libraries say of themselves while a model is traced is kept from its user."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Neither warnings nor log lines, which say nothing of the model; an error is raised anyway."""
    loggers = [logging.getLogger(name) for name in ("transformers", "torch", "bitsandbytes")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
