"""Counts loss and doubling from what a job wrote down itself. Imports nothing of the project: it must not share its mistakes.

Whoever runs an item writes the line `ITEM TOKEN` into a log, with a token used once, and returns the token as the item's result.
"""

from collections import Counter
from collections.abc import Iterable, Sequence


def faults(items: Sequence[str], log: Iterable[str], results: Sequence[str]) -> list[str]:
    """What is wrong with the tokens that a run published, one sentence a fault; none for a run that lost and doubled nothing."""
    ran: dict[str, str] = {}
    found: list[str] = []
    for line in log:
        item, token = line.split()
        if token in ran:
            found.append(f"token {token} was written twice, for item {ran[token]} and item {item}")
        ran[token] = item
    published = [ran.get(token, "") for token in results]
    found += [f"result {token} is of no item that ever ran" for token, item in zip(results, published, strict=True) if not item]
    times = Counter(published)
    found += [f"item {item} was lost" for item in items if not times[item]]
    found += [f"item {item} has {times[item]} results" for item in items if times[item] > 1]
    if not found and published != list(items):
        found.append("the results are not in item order")
    return found
