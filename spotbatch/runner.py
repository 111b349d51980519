"""Run one claimed task: items, checkpoints, and the way out when a notice comes."""

import json
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from spotbatch.checkpoint import Damaged, Progress, result_text
from spotbatch.claim_story import waste
from spotbatch.cleaning import clean
from spotbatch.drain import begins_another
from spotbatch.ledger import Fenced, Ledger
from spotbatch.log import say
from spotbatch.metrics import meter
from spotbatch.protocols import StoreError
from spotbatch.signal_board import CALM, DRAIN, SignalBoard
from spotbatch.strategies.spacing import Observed
from spotbatch.task import Task
from spotbatch.worker import BatchWorker

RESTORE_TRIES = 2
"""After so many failed restores a checkpoint counts as damaged."""
AGENT_GRACE_SECONDS = 5.0
"""A machine that was frozen wakes up with a silent agent: its beat is waited for so long."""

GIVEN_BACK = "notice"
"""How the ledger's history tells a task that was given back in time from one that was taken back."""

_T = TypeVar("_T")


class OutOfTime(BaseException):
    """Raised inside an item that would not end before the deadline; not an Exception, so that a job's own `except` lets it through."""


class BadResult(Exception):
    """`process_item` returned something that JSON cannot hold."""


class Runner:
    """One worker process's way through one task after another."""

    def __init__(
        self,
        ledger: Ledger,
        job: BatchWorker,
        board: SignalBoard,
        cell: int,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.ledger, self.job, self.clock, self.pause = ledger, job, clock, pause
        self.board, self.cell = board.board, board.cells[cell]
        self.in_item = False
        """True while the job's own code runs: OutOfTime may be raised then, and only then."""
        self._save_seconds = self._restore_seconds = 0.0
        self._stateful = type(job).save_state is not BatchWorker.save_state

    def follow(self, claims: Iterator[Task]) -> None:
        """Run one task after another. Raises StoreError."""
        for claim in claims:
            self.run(claim)

    def run(self, claim: Task) -> None:
        """Run a task to its end, or give it back. Raises StoreError when the agent has been silent for a lease."""
        where = {"run": claim.run, "task": claim.id, "epoch": claim.epoch}
        try:
            # All at once: a sixth of the time that one call per item takes.
            items = json.loads(b"[%s]" % b",".join(self._patiently(lambda: self.ledger.items(claim))))
            claim = self._resume(claim, where)
            while True:
                try:
                    claim, ended = self._work(claim, items, where)
                    if ended:
                        self._complete(claim, where)
                    return
                except Damaged as fault:
                    say("checkpoint damaged", 30, **where, why=str(fault))
                    claim = self._resume(claim, where)
        except Fenced as fault:
            self._tell_fenced(where, fault)
        except StoreError:
            raise
        except Exception:
            self._fail(claim, where, traceback.format_exc())
        finally:
            self.in_item = False
            self.cell.item_since = 0.0

    # -- resume -----------------------------------------------------------------------------------------------------------------------------

    def _resume(self, claim: Task, where: dict[str, Any]) -> Task:
        """The claim with only what can be read back, and the job's state as it was then."""
        began = self.clock()
        claim, damage = self._patiently(lambda: self.ledger.readable(claim))
        if damage:
            say("checkpoint damaged", 30, **where, why=damage, resumed_at=claim.items_done)
        self.job.run_name, self.job.task_id, self.job.epoch = claim.run, claim.id, claim.epoch
        failures = 0
        while not self._restored(claim, where):
            failures += 1
            if failures % RESTORE_TRIES == 0:
                # Its results go with it: items after it will run again.
                claim = replace(claim, checkpoints=claim.checkpoints[:-1])
                say("checkpoint damaged", 30, **where, why=f"the job could not restore it {RESTORE_TRIES} times", resumed_at=claim.items_done)
        self._restore_seconds = self.clock() - began
        if claim.items_done:
            say("task resumed", **where, items=claim.items_done)
        return claim

    def _restored(self, claim: Task, where: dict[str, Any]) -> bool:
        """False when the job raised over a state of its own; what it raises over None is its failure."""
        state = self._patiently(lambda: self.ledger.progress(claim.checkpoints[-1]).state) if claim.checkpoints else None
        try:
            self.job.restore_state(state)
        except Exception:
            if state is None:
                raise
            say("restore failed", 30, **where, error=traceback.format_exc())
            return False
        return True

    # -- items ------------------------------------------------------------------------------------------------------------------------------

    def _work(self, claim: Task, items: list[Any], where: dict[str, Any]) -> tuple[Task, bool]:
        """Items until the end (True), or until a notice or a failure ended the claim (False). Raises Fenced, Damaged, StoreError."""
        board, cell, clock, process = self.board, self.cell, self.clock, self.job.process_item
        total, results, longest = len(items), [], 0.0
        at, now = claim.items_done, clock()
        stop_items, stop_time, earliest = self._next_save(claim, at, now, longest)
        rebalance_served = whole = False
        trouble = ""
        try:
            while at < total:
                if board.level:
                    if not begins_another(board.level, board.deadline - now, longest):
                        break
                    if not rebalance_served:
                        rebalance_served = True
                        stop_items, earliest = at, now
                if now > board.alive_until:
                    self._await_agent()
                if at >= stop_items or now >= stop_time:
                    if now < earliest:
                        stop_items = at + self.job.checkpoint_items
                    else:
                        claim = self._save(claim, at, results, where)
                        results, now = [], clock()
                        meter().most("LongestItemSeconds", longest)
                        stop_items, stop_time, earliest = self._next_save(claim, at, now, longest)
                        continue
                cell.item_since = began = now
                self.in_item = True
                result = process(items[at])
                self.in_item = False
                results.append("null" if result is None else self._text(result, at))
                at += 1
                now = clock()
                if now - began > longest:
                    longest = now - began
                    # An item that is longer than the notice makes the notice worth nothing: known only now.
                    _, due, closest = self._next_save(claim, at, now, longest)
                    stop_time, earliest = min(stop_time, due), min(earliest, closest)
            whole = True
        except OutOfTime:
            say("item cut short", **where, item=at)
        except (Fenced, StoreError, Damaged):
            raise
        except Exception:
            trouble = traceback.format_exc()
        finally:
            self.in_item = False
            cell.item_since = 0.0
            meter().most("LongestItemSeconds", longest)
        if whole or not self._stateful:
            # A state is worth saving only between items: one that broke off may have changed half of it.
            claim = self._save(claim, at, results, where)
        if trouble:
            self._fail(claim, where, trouble)
            return claim, False
        if at == total:
            return claim, True
        self._hand_back(claim, where)
        return claim, False

    def _complete(self, claim: Task, where: dict[str, Any]) -> None:
        done = self._patiently(lambda: self.ledger.finish(claim))
        say("task done", **where, items=done.items_done)
        self._tidy(done)

    def _hand_back(self, claim: Task, where: dict[str, Any]) -> None:
        task = self._patiently(lambda: self.ledger.give_back(claim, "interrupted", GIVEN_BACK))
        meter().count("GivenBack")
        meter().count("WasteSeconds", waste(task))
        say("given back", **where, items=task.items_done, of=task.items_total, state=task.state)

    @staticmethod
    def _text(result: Any, at: int) -> str:
        try:
            return result_text(result)
        except (TypeError, ValueError) as fault:
            raise BadResult(f"item {at}: process_item must return what JSON can hold: {fault}") from None

    def _next_save(self, claim: Task, at: int, now: float, longest: float) -> tuple[int, float, float]:
        """The item and the moment at which a checkpoint is due, and the moment before which none is made unless a notice comes."""
        # Linux counts its monotonic clock from the machine's boot.
        ends = [entry.get("why") == GIVEN_BACK for entry in claim.history if entry.get("what") in ("interrupted", "lost")]
        took, warned = self._save_seconds or self._restore_seconds, sum(ends)
        ahead = longest if self._stateful else 0.0
        closest = self.job.spacing(Observed(took, now, self.board.notice_seconds, warned, len(ends) - warned, ahead))
        return at + self.job.checkpoint_items, now + max(self.job.checkpoint_seconds, closest), now + closest

    def _save(self, claim: Task, at: int, results: list[str], where: dict[str, Any]) -> Task:
        if at == claim.items_done:
            return claim
        self.cell.item_since = 0.0
        began = self.clock()
        progress = Progress(self.job.save_state(), results)
        # Merging earlier payloads takes reads: not now, when a deadline is near.
        saved = self._patiently(lambda: self.ledger.save(claim, at, progress, merge=self.board.level < DRAIN))
        self._save_seconds = self.clock() - began
        meter().count("ItemsDone", at - claim.items_done)
        meter().sample("CheckpointSeconds", self._save_seconds)
        size, calm = saved.checkpoints[-1].size, self.board.level == CALM
        say("checkpoint durable", **where, items=at, bytes=size, seconds=round(self._save_seconds, 4), calm=calm)
        return saved

    # -- trouble ----------------------------------------------------------------------------------------------------------------------------

    def _patiently(self, act: Callable[[], _T]) -> _T:
        """Trouble with the store is waited out, and is nobody's failure: the agent's beat decides how long this worker lives."""
        pause = 0.2
        while True:
            try:
                return act()
            except StoreError as fault:
                if self.clock() > self.board.alive_until:
                    raise
                say("store in trouble", 30, why=str(fault), next_try_in=pause)
                self.pause(pause)
                pause = min(2 * pause, 10.0)

    def _await_agent(self) -> None:
        """Raises StoreError if the agent stays silent: somebody else may run this task by now."""
        end = self.clock() + AGENT_GRACE_SECONDS
        while self.clock() > self.board.alive_until:
            if self.clock() > end:
                raise StoreError("the agent has not beaten for a lease")
            self.pause(0.1)

    def _fail(self, claim: Task, where: dict[str, Any], text: str) -> None:
        say("task failed", 40, **where, error=text)
        try:
            task = self._patiently(lambda: self.ledger.fail(claim, text))
            meter().count("WasteSeconds", waste(task))
            say("queued again" if task.state == "queued" else "task dead", **where, cause="failed", attempts=task.attempts)
        except Fenced as fault:
            self._tell_fenced(where, fault)

    def _tidy(self, done: Task) -> None:
        """What earlier claims and merged lists left in the bucket goes now; what cannot be deleted stays until the run is removed."""
        try:
            merged = done.checkpoints and done.checkpoints[-1].sequence >= len(done.checkpoints)
            if done.epoch > 1 or merged:
                clean(self.ledger, done)
        except StoreError as fault:
            say("leftovers stay", 30, run=done.run, task=done.id, why=str(fault))

    def _tell_fenced(self, where: dict[str, Any], fault: Fenced) -> None:
        """What was done since the last checkpoint is waste, and not a failure."""
        say("fenced", 30, **where, why=str(fault))
