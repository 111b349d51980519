"""A row of the table: a rule that turns a setting into an outcome, and who follows that rule in production."""

from collections.abc import Callable
from dataclasses import dataclass

from spotbatch.tools.simulation.outcome import Outcome
from spotbatch.tools.simulation.setting import Setting


@dataclass(frozen=True)
class Policy:
    """What `--policy NAME` names."""

    name: str
    summary: str
    """One line, for the table's legend."""
    executed_by: str
    """What does this in production: `worker + handler`, `Fleet`, or `nothing yet`."""
    run: Callable[[Setting], Outcome]
    """Same setting, same outcome: no randomness but the setting's seed."""
    source: str = ""
    """Paper or code the rule is from; empty for our own."""
