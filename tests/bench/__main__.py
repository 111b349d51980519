"""`make bench`: every figure beside what it is held against, measured in this run. Nothing here is a test: computers are noisy."""

import sys

from tests.bench import calls, detaching, draining, folders, gcp, imports, latencies, messages, overhead, preview, redone, simulate, storms
from tests.bench.figures import show

PARTS = {
    "overhead": overhead,
    "calls": calls,
    "messages": messages,
    "imports": imports,
    "draining": draining,
    "folders": folders,
    "redone": redone,
    "storms": storms,
    "latencies": latencies,
    "detaching": detaching,
    "gcp": gcp,
    "preview": preview,
    "simulate": simulate,
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"bench: {', '.join(map(repr, unknown))} is none of {', '.join(PARTS)}", file=sys.stderr)
        return 2
    for name in names or PARTS:
        show(name, PARTS[name].figures())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
