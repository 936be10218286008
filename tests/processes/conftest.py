"""Which tests can run: DeepSpeed is no part of the development environment, see CONTRIBUTING.md."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("deepspeed") else ["test_zero.py"]
