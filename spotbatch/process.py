"""A worker process: hear a bell, claim, run, again. Started by the agent; ends with it."""

import ctypes
import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from spotbatch import clouds, log, metrics
from spotbatch.bad_record import BadRecord
from spotbatch.exit_status import BAD_JOB, CANNOT_START, UNREACHABLE
from spotbatch.ledger import Ledger, OtherJob, Refused
from spotbatch.log import say
from spotbatch.loop import Loop, NoTask
from spotbatch.loop_job import LoopJob
from spotbatch.protocols import Backend, Bell, StoreError
from spotbatch.runner import OutOfTime, Runner
from spotbatch.signal_board import DRAIN, SignalBoard
from spotbatch.start import Start
from spotbatch.task import Task
from spotbatch.worker import BatchWorker

WAIT_SECONDS = 5.0
_REFUSED_PAUSE = 1.0
_PR_SET_PDEATHSIG = 1


class BadJob(Exception):
    """MODULE:CLASS names neither a BatchWorker nor a function; the text says what was found."""


def load(name: str) -> type[BatchWorker]:
    """The job's class, or that of a function's loop, importable from the current folder. Raises BadJob."""
    module_name, colon, class_name = name.partition(":")
    if not (module_name and colon and class_name):
        raise BadJob(f"job: {name!r} is not MODULE:CLASS, as in thumbnails:Thumbnails")
    if "" not in sys.path and os.getcwd() not in sys.path:  # noqa: PTH109
        sys.path.insert(0, "")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as fault:
        if fault.name and module_name.split(".")[0] == fault.name.split(".")[0]:
            raise BadJob(f"job: {name!r}: there is no module {module_name} in the current folder or on the Python path") from None
        raise
    job = getattr(module, class_name, None)
    if callable(job) and not isinstance(job, type):
        return LoopJob.of(job, class_name)
    if not (isinstance(job, type) and issubclass(job, BatchWorker)):
        found = "absent" if job is None else "neither a BatchWorker nor a function"
        known = [key for key, value in vars(module).items() if value is not BatchWorker and _is_job(value, module_name)]
        raise BadJob(f"job: {name!r}: {class_name} is {found}; {module_name} has {', '.join(known) or 'none'}")
    return job


def _is_job(value: object, module: str) -> bool:
    """A BatchWorker, or a function of the module's own."""
    return issubclass(value, BatchWorker) if isinstance(value, type) else callable(value) and getattr(value, "__module__", "") == module


def end_with_parent(parent: int) -> None:
    """An old worker must never outlive its agent."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


class WorkerProcess:
    """Claims tasks under one owner until the board says drain, or, if asked, until the queue is empty."""

    def __init__(
        self,
        start: Start,
        job: BatchWorker,
        board: SignalBoard,
        connect: Callable[[str], Backend] = clouds.connect,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        backend = connect(start.queue)
        self.pause, self.until_empty = pause, start.until_empty
        self.ledger, self.doorbell, self.owner, self.job = Ledger(backend), backend.doorbell, start.owner, start.job
        self._others: set[str] = set()
        self.board, self.cell = board.board, board.cells[start.cell]
        self.cell.item_limit = job.item_seconds_max or 0.0
        self.runner = (Loop if isinstance(job, LoopJob) else Runner)(self.ledger, job, board, start.cell, clock, pause)

    def work(self) -> None:
        """Raises StoreError; NoTask."""
        self.runner.follow(self._claims())

    def _claims(self) -> Iterator[Task]:
        while self.board.level < DRAIN:
            bell = self.doorbell.wait(0.5 if self.until_empty else WAIT_SECONDS)
            # Busy before the claim, so that an agent that leads its workers out waits for one that is under way.
            self.cell.busy = 1.0
            claim = self._claim(bell) if bell is not None else None
            if claim is not None:
                say("task claimed", run=claim.run, task=claim.id, epoch=claim.epoch, items=claim.items_done, of=claim.items_total)
                yield claim
            self.cell.busy = 0.0
            metrics.meter().tick()
            if claim is None and self.until_empty and not self.ledger.backlog(self.job):
                return

    def _claim(self, bell: Bell) -> Task | None:
        """Claim, *then* delete the message. Raises StoreError when it is not known whether the claim happened: this process must end."""
        try:
            claim = self.ledger.claim(bell.run, bell.task, self.owner, self.job)
        except Refused as why:
            if isinstance(why, OtherJob) and bell.run not in self._others:
                self._others.add(bell.run)
                say("task of another job", 30, why=str(why))
            self._done_with(bell, leave=why.leave_bell)
            if why.leave_bell:
                self.pause(_REFUSED_PAUSE)
            return None
        except BadRecord as fault:
            say("bad record", 40, why=str(fault))
            self._done_with(bell, leave=False)
            self.pause(_REFUSED_PAUSE)
            return None
        self._done_with(bell, leave=False)
        return claim

    def _done_with(self, bell: Bell, *, leave: bool) -> None:
        """A message that cannot be deleted comes again, and is deleted then: no reason to stop."""
        try:
            self.doorbell.leave(bell) if leave else self.doorbell.silence(bell)
        except StoreError as fault:
            say("bell cannot be silenced", 30, why=str(fault))


class _Works(Protocol):
    """A worker process's own part."""

    runner: Runner

    def work(self) -> None: ...


def serve(arguments: list[str], command: str, make: Callable[[Start, BatchWorker, SignalBoard], _Works]) -> int:
    """Load the job, make the worker and let it work; the exit status. `command` stands before what a wrong job is told."""
    start = Start.from_text(arguments[1])
    end_with_parent(start.parent)
    log.start(machine=start.owner.machine, process=start.owner.process)
    metrics.start(start.queue)
    board = SignalBoard(int(arguments[0]), start.processes)
    # Ctrl-C and a service manager's stop reach the agent, which tells its workers by the board.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    try:
        job = load(start.job)()
        job.setup()
    except BadJob as fault:
        print(f"{command}: error: {fault}", file=sys.stderr)
        return BAD_JOB
    except Exception:
        say("job cannot start", 40, error=traceback.format_exc())
        return CANNOT_START
    try:
        worker = make(start, job, board)

        def out_of_time(*_: Any) -> None:
            if worker.runner.in_item:
                raise OutOfTime

        signal.signal(signal.SIGUSR1, out_of_time)
        worker.work()
    except BadJob as fault:
        print(f"{command}: error: {fault}", file=sys.stderr)
        return BAD_JOB
    except StoreError as fault:
        say("ledger unreachable", 40, why=str(fault))
        return UNREACHABLE
    except NoTask as fault:
        say("job cannot start", 40, error=str(fault))
        return CANNOT_START
    finally:
        metrics.meter().write()
    return 0


def main(arguments: list[str]) -> int:
    """`python -m spotbatch.process DESCRIPTOR START`, by the agent only."""
    return serve(arguments, "spotbatch worker", WorkerProcess)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
