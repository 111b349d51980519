"""The worker process of a pod: claim the one task of its index, run it, end. Started by the agent; ends with it."""

import os
import sys

from spotbatch import clouds
from spotbatch.ledger import Ledger, OtherJob
from spotbatch.loop import Loop
from spotbatch.loop_job import LoopJob
from spotbatch.process import BadJob, serve
from spotbatch.runner import Runner
from spotbatch.signal_board import SignalBoard
from spotbatch.sole_task import claim_when_free
from spotbatch.start import Start
from spotbatch.task import Task
from spotbatch.worker import BatchWorker

RUN, TASK = "SPOTBATCH_RUN", "SPOTBATCH_TASK"
"""Environment in which the agent says which task it is."""


class PodProcess:
    """Claims one task once; waits while an earlier pod of the index still holds it."""

    def __init__(self, start: Start, job: BatchWorker, board: SignalBoard) -> None:
        self.run, self.task, self.name = os.environ[RUN], os.environ[TASK], start.job
        self.ledger, self.owner = Ledger(clouds.connect(start.queue)), start.owner
        self.board, self.at = board, start.cell
        self.cell = board.cells[start.cell]
        self.cell.item_limit = job.item_seconds_max or 0.0
        self.runner = (Loop if isinstance(job, LoopJob) else Runner)(self.ledger, job, board, start.cell)

    def work(self) -> None:
        """Until the claim has ended, however, or the board says drain. Raises BadJob, NoTask, StoreError."""
        claim = claim_when_free(self.ledger, self.run, self.task, self._attempt, self.board, self.at)
        if claim is not None:
            self.runner.follow(iter((claim,)))
            self.cell.busy = 0.0

    def _attempt(self) -> Task:
        try:
            return self.ledger.claim(self.run, self.task, self.owner, self.name)
        except OtherJob as fault:
            raise BadJob(f"job: {fault}") from None


def main(arguments: list[str]) -> int:
    """`python -m spotbatch.clouds.kubernetes_process DESCRIPTOR START`, by the agent only."""
    return serve(arguments, "spotbatch", PodProcess)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
