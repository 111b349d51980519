"""Every change of a task: claim, save, finish, give back, fail, take back, ring. The ledger alone decides; messages only say "look".

A change is a compare-and-swap on the record read (settle.py). What a worker writes also requires that the task is running under its
claim: anything else raises Fenced.
"""

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from spotbatch.checkpoint import Checkpoint, Damaged, Progress, checksum, decode, encode, verify
from spotbatch.owner import Owner
from spotbatch.protocols import Backend, Missing
from spotbatch.registry import Registry
from spotbatch.settle import Overtaken, write
from spotbatch.task import PROGRAM_JOB, Cause, Task, items_key, task_key

MAX_FAILURES = 3
MAX_LOSSES = 10

INLINE_BYTES = 1_024
"""A payload up to this size travels in the record: one write instead of two."""

INLINE_TOTAL = 4_096
"""As long as the record carries no more than this: DynamoDB bills each write by the whole record, in the table and in each index."""

MERGE_AT = 64
"""Entries of a list after which the next save writes one payload for all: a DynamoDB item holds 400 KB at most."""

HISTORY = 40
TRACEBACK = 4_000
"""Characters of a traceback that are kept: its end."""


class Fenced(Exception):
    """The claim has passed to somebody else: stop, and touch nothing. Not a failure."""


class Refused(Exception):
    """There is nothing to claim. `leave_bell`: the task may wait for another machine, so its bell stays."""

    def __init__(self, why: str, *, leave_bell: bool) -> None:
        super().__init__(why)
        self.leave_bell = leave_bell


class OtherJob(Refused):
    """The task was submitted for another job: its own worker may come for the bell."""


class Ledger:
    """The record of every task of one queue."""

    def __init__(self, backend: Backend) -> None:
        self.store, self.payloads, self.doorbell = backend.store, backend.payloads, backend.doorbell
        self.machines = Registry(backend.store)

    # -- reading ------------------------------------------------------------------------------------------------------------------------

    def task(self, run: str, task: str) -> Task | None:
        """Raises BadRecord, StoreError."""
        record = self.store.read(task_key(run, task))
        return None if record is None else Task.from_record(record)

    def items(self, task: Task) -> list[bytes]:
        """The task's items as submitted, one JSON text each. Raises Missing, StoreError."""
        return self.payloads.get(items_key(task.run, task.id)).removesuffix(b"\n").split(b"\n")

    def progress(self, checkpoint: Checkpoint) -> Progress:
        """What a checkpoint holds. Raises Damaged; StoreError is never taken for damage."""
        return decode(self._payload(checkpoint), checkpoint)

    def _payload(self, checkpoint: Checkpoint) -> bytes:
        if checkpoint.inline:
            return checkpoint.inline.encode()
        try:
            return self.payloads.get(checkpoint.key)
        except Missing:
            raise Damaged(f"checkpoint {checkpoint.epoch}-{checkpoint.sequence}: {checkpoint.key} is not in the bucket") from None

    def readable(self, task: Task) -> tuple[Task, str]:
        """The task with its list cut at the first damaged payload, and what was wrong with it; results after the cut would hang in the air."""
        for index, checkpoint in enumerate(task.checkpoints):
            try:
                verify(self._payload(checkpoint), checkpoint)
            except Damaged as fault:
                return replace(task, checkpoints=task.checkpoints[:index]), str(fault)
        return task, ""

    # -- what a worker writes -----------------------------------------------------------------------------------------------------------

    def claim(self, run: str, task: str, owner: Owner, job: str = "") -> Task:
        """The right to run a task, for a worker of `job`. Raises Refused; StoreError when it is not known whether the claim happened."""
        machine = self.machines.read(owner.machine)
        if machine is None or not machine.may_claim(owner, self.store.now()):
            raise Refused("this machine is draining, past its deadline or not registered", leave_bell=True)
        while True:
            found = self.task(run, task)
            if found is None or found.state != "queued":
                raise Refused(f"{task_key(run, task)} is {found.state if found else 'absent'}", leave_bell=False)
            if found.job not in ("", job):
                raise OtherJob(f"{found.key} was submitted for {found.job!r}, this worker runs {job!r}", leave_bell=True)
            claimed = self._told(replace(found, state="running", epoch=found.epoch + 1, owner=owner), "claimed", machine=owner.machine)
            try:
                return self._swap(found, claimed)
            except Overtaken:
                continue

    def save(self, claim: Task, end: int, progress: Progress, *, merge: bool = True) -> Task:
        """Make items up to `end` durable: payload first, then the record that names it. Raises Fenced, Damaged.

        The same call again after a StoreError is the same save. `merge`: may make one payload of a long list.
        """
        names = claim.checkpoints
        first = claim.items_done
        if merge and len(names) >= MERGE_AT:
            earlier = [result for name in names for result in self.progress(name).results]
            names, first, progress = (), 0, Progress(progress.state, earlier + progress.results)
        data = encode(progress)
        # Never under a name used before: what replaces a damaged payload in the same epoch may be the very same bytes as it once was.
        sequence = 1 + max((name.sequence for name in claim.checkpoints if name.epoch == claim.epoch), default=-1)
        entry = Checkpoint(claim.epoch, sequence, first, end, checksum(data), len(data), at=round(self.store.now(), 3))
        if len(data) <= INLINE_BYTES and len(data) + sum(len(name.inline) for name in names) <= INLINE_TOTAL:
            entry = replace(entry, inline=data.decode())
        else:
            key = f"runs/{claim.run}/tasks/{claim.id}/{claim.epoch:06d}-{sequence:06d}-{uuid.uuid4().hex[:8]}"
            self.payloads.put(key, data)
            entry = replace(entry, key=key)
        return self._under(claim, lambda task: replace(task, checkpoints=(*names, entry)))

    def finish(self, claim: Task) -> Task:
        """Done, after every payload was read back. Raises Fenced; Damaged when one cannot be read, then its items run again."""
        for checkpoint in claim.checkpoints:
            verify(self._payload(checkpoint), checkpoint)
        if claim.items_done != claim.items_total:
            raise Damaged(f"{claim.key}: {claim.items_done} of {claim.items_total} items are covered")
        names = claim.checkpoints
        return self._under(claim, lambda task: self._told(replace(task, state="done", owner=None, checkpoints=names), "done"))

    def give_back(self, claim: Task, cause: Cause, why: str = "") -> Task:
        """End a claim early and keep the progress. Raises Fenced."""
        names = claim.checkpoints
        task = self._under(claim, lambda task: self._requeue(replace(task, checkpoints=names), cause, why))
        self.ring(task)
        return task

    def fail(self, claim: Task, traceback: str) -> Task:
        """The job itself raised; progress is kept. Dead after MAX_FAILURES. Raises Fenced."""
        names, told = claim.checkpoints, traceback.strip()[-TRACEBACK:]
        last = told.rsplit("\n", 1)[-1]
        task = self._under(claim, lambda task: self._requeue(replace(task, checkpoints=names, traceback=told), "failed", last))
        self.ring(task)
        return task

    # -- what takes a task from a gone worker -------------------------------------------------------------------------------------------

    def take_from(self, seen: Task, cause: Cause, why: str) -> Task | None:
        """Queue a running task again, on the version read; None when somebody else was quicker."""
        try:
            told = replace(seen, traceback=why) if cause == "failed" else seen
            task = self._swap(seen, self._requeue(told, cause, why))
        except Overtaken:
            return None
        self.ring(task)
        return task

    def ring(self, task: Task) -> None:
        """Say that a queued task waits; only ever after the swap to `queued`."""
        if task.state == "queued" and task.job != PROGRAM_JOB:
            self.doorbell.ring(task.run, task.id)

    def rung(self, seen: Task) -> bool:
        """Ring again for a task that nobody came for; False when somebody just did."""
        try:
            task = self._swap(seen, replace(seen, rung_at=self.store.now(), rings=seen.rings + 1))
        except Overtaken:
            return False
        self.ring(task)
        return True

    def revive(self, seen: Task) -> Task | None:
        """Queue a dead task again with fresh budgets; None when it is not dead."""
        if seen.state != "dead" or seen.cancelled:
            return None
        fresh = {**seen.attempts, "failed": 0, "lost": 0}
        queued = self._told(replace(seen, state="queued", epoch=seen.epoch + 1, attempts=fresh, rung_at=self.store.now(), rings=0), "retried")
        try:
            task = self._swap(seen, queued)
        except Overtaken:
            return None
        self.ring(task)
        return task

    def cancel(self, run: str, task: str) -> Task | None:
        """Dead by the user's wish, whoever holds it: its worker finds itself fenced. None when it is done already."""
        while (seen := self.task(run, task)) is not None and seen.state != "done" and not (seen.state == "dead" and seen.cancelled):
            try:
                return self._swap(seen, self._told(replace(seen, state="dead", owner=None, epoch=seen.epoch + 1, cancelled=True), "cancelled"))
            except Overtaken:
                continue
        return None

    def create(self, task: Task) -> bool:
        """Write a new task; False when it is there already, and then untouched."""
        if self.store.read(task.key) is not None:
            return False
        try:
            self._swap(task, self._told(replace(task, rung_at=self.store.now()), "submitted"))
        except Overtaken:
            return False
        return True

    def backlog(self, job: str | None = None) -> int:
        """Queued and running tasks; with `job`, those that a worker of it may claim."""
        waiting = (record for state in ("queued", "running") for record in self.store.tasks_in(state))
        return sum(1 for record in waiting if job is None or record.get("job", "") in ("", job))

    # -- the rules they share -----------------------------------------------------------------------------------------------------------

    def _swap(self, seen: Task, new: Task) -> Task:
        return replace(new, version=write(self.store, new.to_record(), seen.version)["version"])

    def _under(self, claim: Task, change: Callable[[Task], Task]) -> Task:
        """A write that requires the claim: running, its epoch, its owner."""
        while True:
            found = self.task(claim.run, claim.id)
            if found is None or (found.state, found.epoch, found.owner) != ("running", claim.epoch, claim.owner):
                raise Fenced(
                    f"{claim.key}: claim {claim.epoch} has ended; it is {found.state if found else 'absent'} at {found.epoch if found else 0}"
                )
            try:
                return self._swap(found, change(found))
            except Overtaken:
                continue

    def _requeue(self, task: Task, cause: Cause, why: str) -> Task:
        """Queued again under the next epoch, or dead when a budget is used up."""
        attempts = {**task.attempts, cause: task.attempts[cause] + 1}
        dead = attempts["failed"] >= MAX_FAILURES or attempts["lost"] >= MAX_LOSSES
        machine = task.owner.machine if task.owner else ""
        new = replace(
            task, state="dead" if dead else "queued", epoch=task.epoch + 1, owner=None, attempts=attempts, rung_at=self.store.now(), rings=0
        )
        return self._told(new, cause, machine=machine, why=why, saved=task.checkpoints[-1].at if task.checkpoints else 0)

    def _told(self, task: Task, what: str, **more: Any) -> Task:
        entry = {"what": what, "at": round(self.store.now(), 3), "epoch": task.epoch, "items": task.items_done}
        return replace(task, history=(*task.history, entry | {name: value for name, value in more.items() if value})[-HISTORY:])
