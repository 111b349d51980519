"""The loop over tasks and items in one's own hands: `spotbatch worker thumbnails:main`.

def main(worker):
    for task in worker.tasks():
        for item in worker.items(task):
            worker.done(item, make_thumbnail(item))
"""

import json
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

from spotbatch.checkpoint import Damaged
from spotbatch.drain import begins_another
from spotbatch.ledger import Fenced
from spotbatch.log import say
from spotbatch.loop_job import LoopJob
from spotbatch.protocols import StoreError
from spotbatch.runner import OutOfTime, Runner
from spotbatch.signal_board import DRAIN
from spotbatch.task import Task


class WrongOrder(ValueError):
    """`done` or `items` was called for something else than what is at hand."""


class NoTask(Exception):
    """The loop ended before it had asked for a task: calling it again would be no different."""


class Loop(Runner):
    """What a loop works with: `tasks`, `items` and `done`.

    Checkpoints are made between items, of those that were said to be done; after a kill the items behind the last checkpoint come again, so
    side effects must bear that. At a notice `items` ends early: what was handed out before may still be finished and said to be done, until
    the loop asks for the next task. Then progress is saved and the task given back. So it is when the loop raises, as a failure; the
    function is then called again, for the next task.
    """

    _claim: Task | None = None
    """The claim at hand; None between tasks, and once it has passed to somebody else."""
    _last: Task | None = None
    """What this call of the loop claimed last."""
    _over = False
    """There is nothing more to claim."""
    _stopped = False
    """`items` ended before the task did."""

    def follow(self, claims: Iterator[Task]) -> None:
        """Raises StoreError; NoTask."""
        assert isinstance(self.job, LoopJob)
        self._claims = claims
        while not self._over and self.board.level < DRAIN:
            self._last, trouble = None, ""
            try:
                self.job.loop(self)
            except OutOfTime:
                say("item cut short", **self._where, item=self._at)
            except StoreError:
                raise
            except Exception:
                trouble = traceback.format_exc()
            finally:
                self.in_item = False
            if self._last is None and not self._over:
                raise NoTask(trouble or "it returned without asking for a task: for task in worker.tasks(): ...")
            if trouble and self._claim is None:
                say("loop failed between tasks", 40, error=trouble)
            self._end(trouble)

    # -- for the loop -----------------------------------------------------------------------------------------------------------------------

    def tasks(self) -> Iterator[Task]:
        """Claim one task after another, until a notice comes (with --until-empty: or nothing waits). Raises StoreError."""
        while (task := self._next()) is not None:
            yield task

    def items(self, task: Task) -> Iterator[Any]:
        """Items of the task that `tasks` gave last: those that no checkpoint covers. Raises WrongOrder, StoreError."""
        if self._last is None or self._last.key != task.key:
            raise WrongOrder(f"items: {task.key} is not the task that `tasks` gave last")
        while self._hand_out():
            yield self._handed[-1]

    def done(self, item: Any, result: Any = None) -> None:
        """Of the items handed out and not done, the first is done; its result, which JSON can hold, is kept once. Raises WrongOrder, BadResult."""
        with self._ours():
            if self._claim is None:
                # Fenced: somebody else has the task, and does the item too.
                return
            if not self._handed or self._handed[0] != item:
                turn = f"the turn is {self._handed[0]!r:.80}'s" if self._handed else "none is waiting"
                raise WrongOrder(f"done: {item!r:.80}: {turn}; items are done in the order in which they were handed out")
            self._results.append("null" if result is None else self._text(result, self._at))
            self._handed.popleft()
            self._at += 1

    # -- behind it --------------------------------------------------------------------------------------------------------------------------

    @contextmanager
    def _ours(self) -> Generator[None]:
        """A deadline cuts short the loop's own code, never what is done here."""
        self.in_item = False
        yield
        self.in_item = self._claim is not None

    def _next(self) -> Task | None:
        with self._ours():
            self._end()
            for claim in self._claims:
                self._unless_fenced(lambda: self._begin(claim))  # noqa: B023
                if self._claim is not None:
                    return self._claim
            self._over = True
            return None

    def _begin(self, claim: Task) -> None:
        self._where = {"run": claim.run, "task": claim.id, "epoch": claim.epoch}
        self._last, self._stopped, self._rebalance_served = claim, False, False
        self._at, self._items, self._results, self._handed = claim.items_done, list[Any](), list[str](), deque[Any]()
        # At hand from here on: whatever goes wrong below ends the claim.
        self._claim = claim
        self._items = json.loads(b"[%s]" % b",".join(self._patiently(lambda: self.ledger.items(claim))))
        claim = self._resume(claim, self._where)
        self._at, self._longest, self._began = claim.items_done, 0.0, self.clock()
        self._plan = self._next_save(claim, self._at, self._began, self._longest)
        self._claim = claim

    def _hand_out(self) -> bool:
        """The next item, after whatever is due before it; False when none is to begin."""
        with self._ours():
            self._unless_fenced(self._between)
            begun = self._at + len(self._handed)
            more = self._claim is not None and not self._stopped and begun < len(self._items)
            if more:
                self._began = self.clock()
                self._handed.append(self._items[begun])
            self.cell.item_since = self._began if more else 0.0
            return more

    def _between(self) -> None:
        if self._claim is None:
            return
        now = self.clock()
        self._longest = max(self._longest, now - self._began)
        if not begins_another(self.board.level, self.board.deadline - now, self._longest):
            self._stopped = True
            return
        if now > self.board.alive_until:
            self._await_agent()
        stop_items, stop_time, earliest = self._plan
        soon = self.board.level > 0 and not self._rebalance_served
        if soon or ((self._at >= stop_items or now >= stop_time) and now >= earliest):
            self._rebalance_served = self._rebalance_served or soon
            saved = self._save_results(self._claim)
            self._plan = self._next_save(saved, self._at, self.clock(), self._longest)

    def _save_results(self, claim: Task) -> Task:
        self._claim = saved = self._save(claim, self._at, self._results, self._where)
        self._results = []
        return saved

    def _end(self, trouble: str = "") -> None:
        """What the loop leaves behind: a task that is done, one to give back, or one that it failed at."""
        self.cell.item_since = 0.0
        claim = self._claim
        if claim is not None:
            self._unless_fenced(lambda: self._leave(claim, trouble))
        self._claim = None

    def _leave(self, claim: Task, trouble: str) -> None:
        try:
            self._settle(self._save_results(claim), trouble)
        except Damaged as fault:
            why = str(fault)
            say("checkpoint damaged", 30, **self._where, why=why)
            sound, _ = self._patiently(lambda: self.ledger.readable(self._claim or claim))
            self._patiently(lambda: self.ledger.give_back(sound, "lost", why))

    def _settle(self, claim: Task, trouble: str) -> None:
        if trouble:
            self._fail(claim, self._where, trouble)
        elif self._at < len(self._items) and (self._stopped or self.board.level >= DRAIN):
            self._hand_back(claim, self._where)
        elif self._at < len(self._items):
            self._fail(claim, self._where, f"the loop left the task with {self._at} of its {len(self._items)} items done")
        else:
            self._complete(claim, self._where)

    def _unless_fenced(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Fenced as fault:
            self._tell_fenced(self._where, fault)
            self._claim = None
