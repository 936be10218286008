"""What each rule of the grammar makes: functions from a span and the values of the parts to a
syntax node.

A table in each module names the rules; `peft.lark` names an alternative with the same word.
"""

from collections.abc import Callable

from . import expression, method, selector, statement
from .fault import Fault as Fault
from .fault import Mistake as Mistake

ACTIONS: dict[str, Callable[..., object]] = {
    **expression.ACTIONS,
    **selector.ACTIONS,
    **statement.ACTIONS,
    **method.ACTIONS,
}
