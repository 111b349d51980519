"""Every policy there is, by name."""

from spotbatch.tools.simulation.policy import Policy

ALL: dict[str, Policy] = {}
