"""What the agent hands to a worker process on its command line."""

import json
from dataclasses import asdict, dataclass

from spotbatch.owner import Owner


@dataclass(frozen=True)
class Start:
    """What an agent tells a new process."""

    queue: str
    job: str
    owner: Owner
    cell: int
    processes: int
    until_empty: bool
    parent: int

    def to_text(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_text(text: str) -> "Start":
        fields = json.loads(text)
        return Start(**{**fields, "owner": Owner(**fields["owner"])})
