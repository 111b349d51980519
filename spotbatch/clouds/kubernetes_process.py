"""The worker process of a pod: claim the one task of its index, run it, end. Started by the agent; ends with it."""

import os
import signal
import sys
import time
import traceback
from types import FrameType

from spotbatch import clouds, log
from spotbatch.exit_status import BAD_JOB, CANNOT_START, UNREACHABLE
from spotbatch.ledger import Ledger, OtherJob, Refused
from spotbatch.log import say
from spotbatch.loop import Loop, NoTask
from spotbatch.loop_job import LoopJob
from spotbatch.process import BadJob, end_with_parent, load
from spotbatch.protocols import StoreError
from spotbatch.runner import OutOfTime, Runner
from spotbatch.signal_board import DRAIN, SignalBoard
from spotbatch.start import Start
from spotbatch.worker import BatchWorker

RUN, TASK = "SPOTBATCH_RUN", "SPOTBATCH_TASK"
"""Environment in which the agent says which task it is."""

WAIT_SECONDS = 0.5


class PodProcess:
    """Claims one task once; waits while an earlier pod of the index still holds it."""

    def __init__(self, start: Start, job: BatchWorker, board: SignalBoard) -> None:
        self.run, self.task, self.name = os.environ[RUN], os.environ[TASK], start.job
        self.ledger, self.owner = Ledger(clouds.connect(start.queue)), start.owner
        self.board, self.cell = board.board, board.cells[start.cell]
        self.cell.item_limit = job.item_seconds_max or 0.0
        self.runner = (Loop if isinstance(job, LoopJob) else Runner)(self.ledger, job, board, start.cell)

    def work(self) -> None:
        """Until the claim has ended, however, or the board says drain. Raises StoreError; NoTask."""
        waits = ""
        while self.board.level < DRAIN:
            # Busy before the claim, so that an agent that leads its workers out waits for one that is under way.
            self.cell.busy = 1.0
            try:
                claim = self.ledger.claim(self.run, self.task, self.owner, self.name)
            except OtherJob as fault:
                raise BadJob(f"job: {fault}") from None
            except Refused as why:
                self.cell.busy = 0.0
                found = self.ledger.task(self.run, self.task)
                if found is None or found.state in ("done", "dead"):
                    return
                if str(why) != waits:
                    waits = str(why)
                    say("waiting", run=self.run, task=self.task, why=waits, machine=found.owner.machine if found.owner else None)
                time.sleep(WAIT_SECONDS)
                continue
            say("task claimed", run=claim.run, task=claim.id, epoch=claim.epoch, items=claim.items_done, of=claim.items_total)
            self.runner.follow(iter((claim,)))
            self.cell.busy = 0.0
            return


def main(arguments: list[str]) -> int:
    """`python -m spotbatch.clouds.kubernetes_process DESCRIPTOR START`, by the agent only."""
    start = Start.from_text(arguments[1])
    end_with_parent(start.parent)
    log.start(machine=start.owner.machine, process=start.owner.process)
    board = SignalBoard(int(arguments[0]), start.processes)
    # The agent tells of a stop by the board.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    try:
        job = load(start.job)()
        job.setup()
    except BadJob as fault:
        print(f"spotbatch: error: {fault}", file=sys.stderr)
        return BAD_JOB
    except Exception:
        say("job cannot start", 40, error=traceback.format_exc())
        return CANNOT_START
    try:
        worker = PodProcess(start, job, board)

        def out_of_time(number: int, frame: FrameType | None) -> None:
            if worker.runner.in_item:
                raise OutOfTime

        signal.signal(signal.SIGUSR1, out_of_time)
        worker.work()
    except BadJob as fault:
        print(f"spotbatch: error: {fault}", file=sys.stderr)
        return BAD_JOB
    except StoreError as fault:
        say("ledger unreachable", 40, why=str(fault))
        return UNREACHABLE
    except NoTask as fault:
        say("job cannot start", 40, error=str(fault))
        return CANNOT_START
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
