"""What the faults of every cloud's section have in common: sections without which others cannot be, and what components refuse."""

import re
from collections.abc import Callable, Iterator, Mapping

from pulumi_spotbatch.aws import QueueAccess
from pulumi_spotbatch.validation import InvalidArgs

# They stand where another component's outputs will stand.
QUEUE = QueueAccess(
    url="url",
    arn="arn",
    name="queue",
    bucket_name="bucket",
    bucket_arn="arn",
    table_name="table",
    table_arn="arn",
    dead_letters_url="url",
    dead_letters_arn="arn",
    worker_policy="{}",
)
SUBNETS = ("subnet-1", "subnet-2")

_OWNERS = {"subnet_ids": "network.", "tags": ""}
"""Arguments that stand elsewhere in the file than in their component's section."""


def missing(needed_by: Mapping[str, tuple[str, ...]], present: frozenset[str]) -> Iterator[str]:
    """`path: text` for each section that another one of the file cannot do without."""
    for needed, sections in needed_by.items():
        wanting = [section for section in sections if section in present]
        if wanting and needed not in present:
            yield f"{needed}: missing, but needed by {', '.join(wanting)}"


def refused(checks: Mapping[str, Callable[[], object]]) -> Iterator[str]:
    """`path: text` for each fault that a component finds in its section, paths with the arguments' own names."""
    for section, check in checks.items():
        try:
            check()
        except InvalidArgs as error:
            yield from (f"{_OWNERS.get(re.split('[.[:]', fault)[0], section + '.')}{fault}" for fault in error.faults)
