"""Count lost and doubled items from the log that the job itself wrote. Imports nothing of ours, so that it cannot agree with us by mistake.

python count.py ITEMS.jsonl RESULTS.jsonl LOG [LOG ...]
"""

import collections
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Count:
    items: int
    lost: list[str] = field(default_factory=list)
    """Items that the log or the results lack."""
    done_twice: int = 0
    """Surplus executions: work that an interruption wasted."""
    results_twice: list[str] = field(default_factory=list)
    """Items with more than one visible result: must never happen."""
    strangers: list[str] = field(default_factory=list)
    """Logged or returned items that nobody submitted."""

    @property
    def lossless(self) -> bool:
        return not (self.lost or self.results_twice or self.strangers)


def name(item: dict[str, object]) -> str:
    return f"{item['group']} {item['resample']}"


def count(items: Iterable[str], results: Iterable[str], logs: Iterable[Path]) -> Count:
    """Hold the job's own log and the visible results against what was submitted."""
    wanted = {name(json.loads(line)) for line in items if line.strip()}
    seen = collections.Counter(name(json.loads(line)) for line in results if line.strip())
    done: collections.Counter[str] = collections.Counter()
    for log in logs:
        done.update(json.loads(line)["item"] for line in log.read_text().splitlines() if line.strip())
    return Count(
        items=len(wanted),
        lost=sorted(item for item in wanted if not done[item] or not seen[item]),
        done_twice=sum(times - 1 for times in done.values()),
        results_twice=sorted(item for item, times in seen.items() if times > 1),
        strangers=sorted((done.keys() | seen.keys()) - wanted),
    )


if __name__ == "__main__":
    found = count(Path(sys.argv[1]).read_text().splitlines(), Path(sys.argv[2]).read_text().splitlines(), [Path(log) for log in sys.argv[3:]])
    print(found)
    sys.exit(0 if found.lossless else 1)
