"""The worker process of `spotbatch run`: claim the one task of a program, run it, end. Started by the agent; ends with it."""

import os
import signal
import struct
import sys
from typing import Any

from spotbatch import clouds, log
from spotbatch.exit_status import UNREACHABLE
from spotbatch.ledger import Ledger
from spotbatch.log import say
from spotbatch.process import end_with_parent
from spotbatch.program import TASK, Program
from spotbatch.program_runner import ProgramRunner
from spotbatch.protocols import StoreError
from spotbatch.signal_board import SignalBoard
from spotbatch.sole_task import claim_when_free
from spotbatch.start import Start
from spotbatch.task import PROGRAM_JOB, Task

_STATUS_AT = 4096
"""Where in the board's memory a process leaves the command's exit status for its agent: behind anything else."""
_STATUS = struct.Struct("<?i")


def read_status(descriptor: int) -> int | None:
    """What the command ended with, by itself; None while it has not."""
    found = os.pread(descriptor, _STATUS.size, _STATUS_AT)
    known, status = _STATUS.unpack(found) if len(found) == _STATUS.size else (False, 0)
    return status if known else None


class ProgramProcess:
    """Claims one task, which nobody rings for; waits while somebody else runs it."""

    def __init__(self, start: Start, board: SignalBoard) -> None:
        self.program = Program.from_text(start.job)
        self.ledger, self.owner = Ledger(clouds.connect(start.queue)), start.owner
        self.board, self.at = board, start.cell
        self.runner = ProgramRunner(self.ledger, self.program, board, start.cell)

    def work(self) -> None:
        """Until the program has ended, here or elsewhere, or the board says drain. Raises StoreError."""
        while (claim := claim_when_free(self.ledger, self.program.run, TASK, self._attempt, self.board, self.at)) is not None:
            self.runner.run(claim)
            self.board.cells[self.at].busy = 0.0
            if self.runner.status is not None:
                os.pwrite(self.board.descriptor, _STATUS.pack(True, self.runner.status), _STATUS_AT)
                return

    def _attempt(self) -> Task:
        return self.ledger.claim(self.program.run, TASK, self.owner, PROGRAM_JOB)


def main(arguments: list[str]) -> int:
    """`python -m spotbatch.program_process DESCRIPTOR START`, by the agent only."""
    start = Start.from_text(arguments[1])
    end_with_parent(start.parent)
    log.start(sys.stderr, machine=start.owner.machine, process=start.owner.process)
    # Notices reach the command by the board alone; it has its own group, and hears of no Ctrl-C.
    ignored: tuple[Any, ...] = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    try:
        ProgramProcess(start, SignalBoard(int(arguments[0]), start.processes)).work()
    except StoreError as fault:
        say("ledger unreachable", 40, why=str(fault))
        return UNREACHABLE
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
