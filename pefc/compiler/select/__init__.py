"""From a selector to sites."""

from .select import Selected as Selected
from .select import TermMatch as TermMatch
from .select import may_be_empty as may_be_empty
from .select import select as select
