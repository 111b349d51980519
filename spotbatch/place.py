"""Places on a machine that several programs share: how the ledger names them."""


def beside(machine: str, place: int) -> str:
    """Place 0 is the machine itself; each other is a machine of its own in the ledger, as `i-0123.1`."""
    return f"{machine}.{place}" if place else machine


def machine_of(name: str) -> str | None:
    """The machine that a place other than 0 is on; None for a machine itself."""
    machine, _, place = name.rpartition(".")
    return machine if machine and place.isdigit() else None
