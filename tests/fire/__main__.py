"""Explore the protocol's model within the wider bounds, for as long as it takes: `python -m tests.fire [BOUNDS ...]`. 1 if a rule breaks."""

import sys

from tests.fire.model.bounds import BOUNDS, LONG
from tests.fire.model.explore import explore
from tests.fire.model.state import ITEMS

LIMIT = 20_000_000
"""States; each takes about a kilobyte."""


def main(names: list[str]) -> int:
    known = BOUNDS | LONG
    if unknown := [name for name in names if name not in known]:
        print(f"bounds: {', '.join(map(repr, unknown))}: allowed are {', '.join(map(repr, known))}", file=sys.stderr)
        return 2
    print(f"one task with {ITEMS} items, two machines with a worker each, one handler; every order of every step, and so many faults:")
    broken = 0
    for name in names or LONG:
        faults = ", ".join(f"{fault} <= {count}" for fault, count in known[name]._asdict().items() if count)
        print(f"{name} ({faults}): ", end="", flush=True)
        try:
            found = explore(known[name], limit=LIMIT)
        except MemoryError as fault:
            print(f"not finished: {fault}")
            continue
        print(f"{found.states:,} states, to the end, in {found.seconds:.0f} s: {found.broken or 'every invariant holds'}")
        print("".join(f"    {step}\n" for step in found.trace), end="", flush=True)
        broken += bool(found.broken)
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
