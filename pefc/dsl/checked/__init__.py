"""The checked spec: what is left when names, arguments and types are right."""

from .canonical import canonical as canonical
from .python_values import check_text as check_text
from .python_values import check_type as check_type
from .python_values import check_values as check_values
from .python_values import wrong_type as wrong_type
from .spec import Attachment as Attachment
from .spec import Checked as Checked
from .spec import Fusion as Fusion
from .spec import Lengths as Lengths
from .spec import Modified as Modified
from .spec import Quantization as Quantization
from .spec import Step as Step
from .spec import Tuning as Tuning
from .spec import Value as Value
from .spec import leaves as leaves
from .tasks import in_turn as in_turn
from .tasks import only as only
from .tasks import renamed as renamed
from .tasks import task_of as task_of
from .tasks import without as without
