"""One per machine: `python -m spotbatch.agent MODULE:CLASS`. Starts the worker processes, beats for them, and leads them out at a notice."""

import argparse
import math
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace

from spotbatch import clouds, log, metrics, sole_agent
from spotbatch.child import Child, Process
from spotbatch.claim_story import waste
from spotbatch.drain import STOP_SECONDS, margin
from spotbatch.exit_status import BAD_JOB, CANNOT_POWER_OFF, CANNOT_START, UNREACHABLE
from spotbatch.ledger import Ledger
from spotbatch.log import say
from spotbatch.machine import Machine
from spotbatch.notice import Notice
from spotbatch.owner import Owner
from spotbatch.protocols import Backend, Host, StoreError
from spotbatch.registry import Replaced
from spotbatch.signal_board import DRAIN, REBALANCE, SignalBoard
from spotbatch.start import Start
from spotbatch.sweep import Sweep
from spotbatch.task import Cause, Task
from spotbatch.watcher import Watcher

LEASE_SECONDS = 60.0
BEATS_PER_LEASE = 3
SWEEPS_PER_LEASE = 12
"""A sweep acts for so small a part of a lease, and leaves the rest to the next."""
STOPPED = "SIGTERM"
AFTERLIFE_SECONDS = 300.0
"""A drained machine that is still alive so long past its deadline shuts itself down: nobody wants to pay for it."""
REBALANCE_SECONDS = 120.0
TICK = 0.05
_RESTART_PAUSES = (0.0, 1.0, 5.0, 20.0)
_STARTS_REFUSED = 3
"""Processes in a row whose job could not start, after which the agent gives up: the service manager knows how often to try again."""


class Agent:
    """Leads the workers of one machine. `run` returns the exit status."""

    process_module = "spotbatch.process"
    """What a worker process runs."""

    def __init__(
        self,
        queue: str,
        job: str,
        host: Host,
        *,
        processes: int = 1,
        lease: float = LEASE_SECONDS,
        until_empty: bool = False,
        connect: Callable[[str], Backend] = clouds.connect,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.queue, self.job, self.host, self.lease, self.until_empty, self.clock = queue, job, host, lease, until_empty, clock
        self.ledger = Ledger(connect(queue))
        self.identity = host.identity()
        self.hold()
        self.id = uuid.uuid4().hex[:12]
        self.board = SignalBoard.make(processes)
        self.children = [Child(cell) for cell in range(processes)]
        self.dead: dict[str, tuple[Cause, str]] = {}
        """Processes that have ended, what their unfinished task counts as, and why."""
        self.notice: Notice | None = None
        self._noted: Notice | None = None
        """What the own ledger record says of it."""
        self._lock = threading.Lock()
        self._machine: Machine = self.ledger.machines.register(self.identity, self.id, self.lease)
        self._registered = True
        self._beaten = self._swept = self.clock()
        self._next_beat = self._next_note = 0.0
        self.board.board.alive_until = self._beaten + lease
        self.watcher = Watcher(host, self.ledger.machines, lambda: (self.identity.machine, self.identity.boot, self.id), self.hear)
        self._expect_notice()
        self._told_drained = self._terminated = False
        self.refused_starts = 0
        self.stranded = False
        """The machine has drained, outlived its deadline, and cannot be powered off from in here."""
        self.bad_job = False
        """A process found that the job's name leads nowhere, and has said so."""

    def hold(self) -> None:
        """Be this machine's only agent on the queue. Raises AnotherAgent."""
        sole_agent.hold(self.queue, self.identity.machine)

    # -- notices: called from the watcher's thread and from the signal handler --------------------------------------------------------------

    def hear(self, notice: Notice) -> None:
        """Take a notice in; the strongest kind and the earliest deadline stand."""
        with self._lock:
            if notice.kind == "rebalance":
                if self.board.board.level < REBALANCE:
                    say("notice", kind="rebalance", reason=notice.reason)
                    self.board.board.deadline = self.clock() + REBALANCE_SECONDS
                    self.board.board.level = REBALANCE
                return
            if notice.kind not in ("interruption", "stop"):
                return
            known = self.notice
            earlier = notice.deadline is not None and (known is None or known.deadline is None or notice.deadline < known.deadline)
            if known is not None and not earlier and (known.kind == notice.kind or known.kind == "interruption"):
                return
            now = self.ledger.store.now()
            left = STOP_SECONDS if notice.deadline is None else max(0.0, notice.deadline - now)
            hook = notice.hook or (known.hook if known else None)
            # What the machine itself saw first was timed by its own clock, which may be ahead: the margin hangs on it.
            sent = min(notice.sent, now)
            self.notice = replace(notice, sent=sent, hook=hook, deadline=notice.deadline if earlier or known is None else known.deadline)
            self.board.board.deadline = self.clock() + left
            self.board.board.level = DRAIN
            if notice.kind == "interruption" and notice.deadline is not None:
                metrics.meter().sample("NoticeLeadSeconds", left)
            say("notice", kind=notice.kind, reason=notice.reason, seconds_left=round(left, 1), sent=sent, delay=round(now - sent, 3))

    def terminate(self, *_: object) -> None:
        self._terminated = True

    # -- the life of an agent ---------------------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Until stopped, or, if asked, until the queue is empty. 0; 143 after SIGTERM; 70 when the job cannot start; 77 for whoever can power off."""
        signal.signal(signal.SIGTERM, self.terminate)
        signal.signal(signal.SIGINT, self.terminate)
        self.watcher.start()
        say("agent started", agent=self.id, boot=self.identity.boot, job=self.job, processes=len(self.children), lease=self.lease)
        try:
            # What an earlier agent of this machine held needs no lease to run out.
            self._sweep(self.identity.machine)
            while True:
                self.step()
                if self.notice is None and self._terminated:
                    self.hear(Notice(self.identity.machine, "stop", self.ledger.store.now(), None, STOPPED))
                if self.bad_job:
                    return 2
                if self.stranded:
                    return CANNOT_POWER_OFF
                if self.refused_starts >= _STARTS_REFUSED:
                    return CANNOT_START
                if self.until_empty and self.notice is None and all(self._finished(child) for child in self.children):
                    return 0
                if self._told_drained and self._terminated:
                    return 143
                if self._told_drained and self.notice is not None and self.notice.kind == "stop":
                    return 0
                time.sleep(TICK)
        finally:
            self.watcher.stop()
            self._kill_children()
            self._take_back()
            metrics.meter().write()

    def step(self) -> None:
        """Whatever is due now: called every 50 ms."""
        now = self.clock()
        self._look_after_children(now)
        if now >= self._next_beat:
            self._beat(now)
        if self.notice is not None:
            self._note(now)
            self._lead_out(now)
        elif now - self._swept >= min(60.0, self.lease) and any(not self.board.cells[child.cell].busy for child in self.children):
            self._swept = now
            self._sweep()

    def _look_after_children(self, now: float) -> None:
        for child in self.children:
            if child.process is not None and (status := child.process.poll()) is not None:
                self._bury(child, status, now)
            may_start = child.process is None and self.notice is None and now >= child.not_before and now < self._beaten + self.lease
            if may_start and not (self.until_empty and self._finished(child)):
                self._start(child)
            cell = self.board.cells[child.cell]
            since, limit = cell.item_since, cell.item_limit
            if child.process is not None and limit and since and now - since > limit:
                why = f"an item took longer than item_seconds_max, {limit:g} s"
                self.dead[child.id] = ("failed", why)
                say("item took too long", 40, process=child.id, why=why)
                child.process.kill()
                cell.item_since = 0.0

    def _finished(self, child: Child) -> bool:
        return child.process is None and child.starts > 0 and child.id not in self.dead

    def _start(self, child: Child) -> None:
        child.id, child.cut = uuid.uuid4().hex[:12], False
        cell = self.board.cells[child.cell]
        cell.item_since = cell.busy = 0.0
        owner = Owner(self.identity.machine, self.identity.boot, self.id, child.id)
        child.process = self.spawn(Start(self.queue, self.job, owner, child.cell, len(self.children), self.until_empty, os.getpid()))
        child.starts += 1

    def spawn(self, start: Start) -> Process:
        """A new worker process."""
        command = [sys.executable, "-u", "-m", self.process_module, str(self.board.descriptor), start.to_text()]
        return subprocess.Popen(command, pass_fds=(self.board.descriptor,), stdin=subprocess.DEVNULL)

    def _bury(self, child: Child, status: int, now: float) -> None:
        """A process has ended: what it may still hold is taken back now, and at every beat from here on, as a claim may land late."""
        child.process = None
        self.board.cells[child.cell].busy = self.board.cells[child.cell].item_since = 0.0
        self.bad_job = self.bad_job or status == BAD_JOB
        if status in (0, BAD_JOB):
            return
        self.refused_starts = self.refused_starts + 1 if status == CANNOT_START else 0
        why = f"its worker process ended with {_status(status)}"
        say("worker process ended", 30, process=child.id, why=why)
        self.dead.setdefault(child.id, ("lost" if status == UNREACHABLE else "failed", why))
        child.not_before = now + _RESTART_PAUSES[min(child.starts, len(_RESTART_PAUSES)) - 1]
        self._take_back()

    def _take_back(self) -> None:
        """Queue again every running task that names this agent and a process that is not alive."""
        alive = {child.id for child in self.children if child.process is not None and child.process.poll() is None}
        try:
            for record in self.ledger.store.tasks_in("running", self.identity.machine):
                try:
                    task = self.ledger.task(record["run"], record["task"])
                    owner = task.owner if task is not None else None
                    if task is not None and owner is not None and owner.agent == self.id and owner.process not in alive:
                        self._take(task, owner)
                except ValueError as fault:
                    # A record that nobody understands holds up no other.
                    say("cannot take back", 30, why=str(fault))
        except (StoreError, ValueError) as fault:
            say("cannot take back", 30, why=str(fault))

    def _take(self, task: Task, owner: Owner) -> None:
        cause, why = self.dead.get(owner.process, ("failed", "its worker process is not known"))
        if self.notice is not None:
            cause = "interrupted"
        if taken := self.ledger.take_from(task, cause, why):
            metrics.meter().count("WasteSeconds", waste(taken))
            say("queued again" if taken.state == "queued" else "task dead", run=task.run, task=task.id, epoch=taken.epoch, cause=cause, why=why)

    def _beat(self, now: float) -> None:
        """Raises nothing: an agent that cannot beat for a lease stops its workers, as somebody else may run their tasks by now."""
        self._next_beat = now + self.lease / BEATS_PER_LEASE
        try:
            if self._registered:
                oldest = round(max(now - (cell.item_since or now) for cell in self.board.cells), 1)
                self._machine = self.ledger.machines.beat(self._machine, metadata_ok=self.watcher.metadata_ok, item_seconds=oldest)
                self._take_back()
            else:
                self._machine = self.ledger.machines.register(self.identity, self.id, self.lease)
                self._registered, self._noted = True, None
                self._sweep(self.identity.machine)
            self._beaten, self.board.board.alive_until = now, now + self.lease
            self._expect_notice()
        except Replaced:
            say("machine record gone or replaced", 40)
            self._start_anew()
        except (StoreError, ValueError) as fault:
            # Tried again soon: a lease has room for three beats, not for three that fail.
            self._next_beat = now + self.lease / BEATS_PER_LEASE / 4
            say("cannot beat", 30, why=str(fault), silent=round(now - self._beaten, 1))
            if self.clock() - self._beaten >= self.lease:
                self._start_anew()

    def _expect_notice(self) -> None:
        ahead = self.identity.notice_seconds if self.watcher.metadata_ok else 0.0
        self.board.board.notice_seconds = ahead if self.identity.spot else math.inf

    def _start_anew(self) -> None:
        """What this agent's workers held may be with others by now: end them, and register as a new agent."""
        self._kill_children()
        self.id, self._registered, self._next_beat = uuid.uuid4().hex[:12], False, min(self._next_beat, self.clock() + 1.0)

    def _sweep(self, machine: str | None = None) -> None:
        try:
            # The same thread beats: a long backlog must not make this machine look dead.
            sweep = Sweep(self.ledger, self.lease / SWEEPS_PER_LEASE)
            swept = sweep.machine(machine) if machine else sweep.everything()
        except StoreError as fault:
            say("cannot sweep", 30, why=str(fault))
            return
        for task in swept.requeued:
            metrics.meter().count("WasteSeconds", waste(task))
            say("queued again", run=task.run, task=task.id, epoch=task.epoch, cause=task.history[-1]["what"], why=task.history[-1].get("why"))
        for fault in swept.bad:
            say("bad record", 40, why=fault)

    # -- the way out ------------------------------------------------------------------------------------------------------------------------

    def _note(self, now: float) -> None:
        """Say in the own record what was heard: claims are refused from here on, and whatever ends counts as interrupted."""
        notice = self.notice
        if notice is None or notice == self._noted or now < self._next_note or not self._registered:
            return
        self._next_note = now + 1.0
        try:
            self._machine = (
                self.ledger.machines.stop(self._machine) if notice.reason == STOPPED else self.ledger.machines.drain(self._machine, notice)
            )
            self._noted = notice
        except (Replaced, StoreError, ValueError) as fault:
            say("cannot note the notice", 30, why=str(fault))

    def _lead_out(self, now: float) -> None:
        assert self.notice is not None
        deadline = self.board.board.deadline
        busy = [child for child in self.children if child.process is not None and self.board.cells[child.cell].busy]
        notice_seconds = deadline - now
        for child in busy:
            if notice_seconds < margin(self.notice) and not child.cut and child.process is not None:
                child.cut = True
                child.process.send_signal(signal.SIGUSR1)
        if not busy and not self._told_drained:
            self._tell_drained()
        if self.notice.kind == "interruption" and now > deadline + AFTERLIFE_SECONDS:
            say("still alive after the deadline", 30)
            self.board.board.deadline = now
            try:
                self.host.shut_down()
            except Exception as fault:
                say("cannot shut down", 40, why=f"{type(fault).__name__}: {fault}")
                self.stranded = True

    def _tell_drained(self) -> None:
        """Everything was given back: say so in the ledger, and to the pool if it waits for that."""
        assert self.notice is not None
        self._take_back()
        try:
            self.ledger.machines.drained(self._machine)
        except (Replaced, StoreError, ValueError) as fault:
            say("cannot say drained", 30, why=str(fault))
        if self.notice.kind == "stop":
            try:
                self.host.complete_hook()
            except Exception as fault:
                say("cannot complete the lifecycle hook", 40, why=str(fault))
        self._told_drained = True
        metrics.meter().write()
        say("drained", kind=self.notice.kind, seconds_left=round(self.board.board.deadline - self.clock(), 1))

    def _kill_children(self) -> None:
        for child in self.children:
            if child.process is not None:
                child.process.kill()
                child.process.wait()
                self.dead.setdefault(child.id, ("lost", "its agent ended it"))
                child.process, child.not_before = None, self.clock() + _RESTART_PAUSES[1]


def _status(status: int) -> str:
    return f"signal {-status} ({signal.Signals(-status).name})" if -65 < status < 0 else f"status {status}"


def _positive(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 256")
    return int(text)


def _lease(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 1 to 3600")
    return value


def main(arguments: list[str] | None = None) -> int:
    """The command line of a machine. 0; 2 for a wrong command line; 75 when the queue cannot be reached; 143 after SIGTERM."""
    parser = argparse.ArgumentParser(prog="spotbatch worker", description="Run tasks on this machine until it is taken away.")
    parser.add_argument("job", metavar="MODULE:CLASS", help="a BatchWorker, or a function with a loop of its own, importable from the current folder")
    parser.add_argument("--queue", help="local:FOLDER, SQS URL or pubsub:projects/P/subscriptions/S (default: the machine's, else local:.spotbatch)")
    parser.add_argument("--processes", type=_positive, default=1, metavar="N", help="worker processes of this machine (1)")
    parser.add_argument("--lease", type=_lease, default=LEASE_SECONDS, metavar="SECONDS", help="silence after which a machine counts as gone (60)")
    parser.add_argument("--until-empty", action="store_true", help="end when no task is queued or running")
    chosen = parser.parse_args(arguments)
    try:
        queue = chosen.queue or clouds.default_queue()
        host = clouds.host(queue)
        log.start(machine=host.identity().machine)
        metrics.start(queue)
        agent = Agent(queue, chosen.job, host, processes=chosen.processes, lease=chosen.lease, until_empty=chosen.until_empty)
    except clouds.BadQueueName as fault:
        print(f"spotbatch worker: error: {fault}", file=sys.stderr)
        return 2
    except (StoreError, OSError) as fault:
        print(f"spotbatch worker: error: {fault}", file=sys.stderr)
        return UNREACHABLE
    return agent.run()


if __name__ == "__main__":
    sys.exit(main())
