"""Laws run the same examples each time, and few of them: a run is a check. Under the profile
`fuzz`, which `HYPOTHESIS_PROFILE` chooses, it is a search: other examples each time, as many as
`PEFC_EXAMPLES` says for each law, and not shrunk for minutes.
"""

import os

from hypothesis import HealthCheck, Phase, settings

CALM = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

settings.register_profile(
    "laws",
    derandomize=True,
    deadline=None,
    max_examples=40,
    database=None,
    suppress_health_check=CALM,
)
settings.register_profile(
    "fuzz",
    deadline=None,
    max_examples=int(os.environ.get("PEFC_EXAMPLES", "2000")),
    database=None,
    phases=(Phase.explicit, Phase.generate),
    print_blob=True,
    suppress_health_check=CALM,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "laws"))
