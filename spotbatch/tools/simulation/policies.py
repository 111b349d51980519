"""Every policy there is, by name."""

from spotbatch.tools.simulation import ours
from spotbatch.tools.simulation.policy import Policy
from spotbatch.tools.simulation.published.rows import BASELINES

ALL: dict[str, Policy] = {**{policy.name: policy for policy in ours.POLICIES}, **BASELINES}
