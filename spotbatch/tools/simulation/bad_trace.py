"""A trace that cannot be what it says it is."""

SHOWN = 12


class BadTrace(ValueError):
    """Every fault of a file on a line of its own: file, line, column, the value, what is allowed. The first 12 are shown, the rest counted."""

    def __init__(self, faults: list[str]) -> None:
        shown = faults[:SHOWN] + ([f"and {len(faults) - SHOWN} more faults of the same files"] if len(faults) > SHOWN else [])
        super().__init__("\n".join(shown))
        self.faults = faults
