"""Run one claimed task: items, checkpoints, and the way out when a notice comes."""

import json
import time
import traceback
from collections.abc import Callable
from typing import Any

from spotbatch.checkpoint import Damaged, Progress
from spotbatch.ledger import Fenced, Ledger
from spotbatch.log import say
from spotbatch.protocols import StoreError
from spotbatch.signal_board import CALM, DRAIN, SignalBoard
from spotbatch.task import Task
from spotbatch.worker import BatchWorker

CLOSEST_SECONDS = 2.0
"""Checkpoints are never closer than this,"""
CLOSEST_SAVES = 20
"""nor than so many times what the last save took: saving costs at most a twentieth."""


class OutOfTime(BaseException):
    """Raised inside an item that would not end before the deadline; not an Exception, so that a job's own `except` lets it through."""


class BadResult(Exception):
    """`process_item` returned something that JSON cannot hold."""


class Runner:
    """One worker process's way through one task after another."""

    def __init__(self, ledger: Ledger, job: BatchWorker, board: SignalBoard, cell: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.ledger, self.job, self.clock = ledger, job, clock
        self.board, self.cell = board.board, board.cells[cell]
        self.in_item = False
        """True while the job's own code runs: OutOfTime may be raised then, and only then."""
        self._save_seconds = 0.0

    def run(self, claim: Task) -> None:
        """Run a task to its end, or give it back. Raises StoreError when the ledger cannot be reached."""
        where = {"run": claim.run, "task": claim.id, "epoch": claim.epoch}
        try:
            items = [json.loads(line) for line in self.ledger.items(claim)]
            claim = self._resume(claim, where)
            while True:
                claim, ended = self._work(claim, items, where)
                if not ended:
                    return
                try:
                    done = self.ledger.finish(claim)
                    say("task done", **where, items=done.items_done)
                    return
                except Damaged as fault:
                    say("checkpoint damaged", 30, **where, why=str(fault))
                    claim = self._resume(claim, where)
        except Fenced as fault:
            say("fenced", 30, **where, why=str(fault))
        except StoreError:
            raise
        except Exception:
            self._fail(claim, where, traceback.format_exc())
        finally:
            self.in_item = False
            self.cell.item_since = 0.0

    def _fail(self, claim: Task, where: dict[str, Any], text: str) -> None:
        say("task failed", 40, **where, error=text)
        try:
            task = self.ledger.fail(claim, text)
            say("queued again" if task.state == "queued" else "task dead", **where, cause="failed", attempts=task.attempts)
        except Fenced as fault:
            say("fenced", 30, **where, why=str(fault))

    def _resume(self, claim: Task, where: dict[str, Any]) -> Task:
        """The claim with only what can be read back, and the job's state as it was then."""
        claim, damage = self.ledger.readable(claim)
        if damage:
            say("checkpoint damaged", 30, **where, why=damage, resumed_at=claim.items_done)
        state = self.ledger.progress(claim.checkpoints[-1]).state if claim.checkpoints else None
        self.job.run_name, self.job.task_id, self.job.epoch = claim.run, claim.id, claim.epoch
        self.job.restore_state(state)
        if claim.items_done:
            say("task resumed", **where, items=claim.items_done)
        return claim

    def _work(self, claim: Task, items: list[Any], where: dict[str, Any]) -> tuple[Task, bool]:
        """Items until the end (True) or until a notice made the task be given back (False). Raises Fenced, and what the job raises."""
        board, cell, clock, process = self.board, self.cell, self.clock, self.job.process_item
        total, results, longest = len(items), [], 0.0
        at, now = claim.items_done, clock()
        stop_items, stop_time, earliest = self._next_save(at, now)
        rebalance_served = False
        try:
            while at < total:
                if board.level:
                    if board.level >= DRAIN or longest > max(0.0, board.deadline - now) > 0:
                        break
                    if not rebalance_served:
                        rebalance_served = True
                        stop_items, earliest = at, now
                if at >= stop_items or now >= stop_time:
                    if now >= earliest:
                        claim = self._save(claim, at, results, where)
                        results, now = [], clock()
                        stop_items, stop_time, earliest = self._next_save(at, now)
                    else:
                        stop_items = at + self.job.checkpoint_items
                cell.item_since = began = now
                self.in_item = True
                result = process(items[at])
                self.in_item = False
                results.append(result)
                at += 1
                now = clock()
                longest = max(longest, now - began)
        except OutOfTime:
            say("item cut short", **where, item=at)
        except (Fenced, StoreError, BadResult):
            raise
        except Exception:
            # What was done before the item that failed is kept.
            self.in_item = False
            claim = self._save(claim, at, results, where)
            self._fail(claim, where, traceback.format_exc())
            return claim, False
        finally:
            self.in_item = False
            cell.item_since = 0.0
        claim = self._save(claim, at, results, where)
        if at == total:
            return claim, True
        task = self.ledger.give_back(claim, "interrupted", "notice")
        say("given back", **where, items=at, of=total, state=task.state)
        return claim, False

    def _next_save(self, at: int, now: float) -> tuple[int, float, float]:
        """The item and the moment at which a checkpoint is due, and the moment before which none is made unless a notice comes."""
        closest = max(CLOSEST_SECONDS, CLOSEST_SAVES * self._save_seconds)
        return at + self.job.checkpoint_items, now + max(self.job.checkpoint_seconds, closest), now + closest

    def _save(self, claim: Task, at: int, results: list[Any], where: dict[str, Any]) -> Task:
        if at == claim.items_done:
            return claim
        began = self.clock()
        try:
            claim = self.ledger.save(claim, at, Progress(self.job.save_state(), results))
        except (TypeError, ValueError) as fault:
            raise BadResult(f"items {claim.items_done} to {at}: process_item must return what JSON can hold: {fault}") from None
        self._save_seconds = self.clock() - began
        say(
            "checkpoint durable",
            **where,
            items=at,
            bytes=claim.checkpoints[-1].size,
            seconds=round(self._save_seconds, 4),
            calm=self.board.level == CALM,
        )
        return claim
