"""Run a claimed program: restore its folder, run its command, save the folder, and lead it out when a notice comes."""

import signal
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from spotbatch.checkpoint import Damaged, Progress
from spotbatch.command import Command
from spotbatch.ledger import Fenced, Ledger
from spotbatch.log import say
from spotbatch.look import Seen
from spotbatch.manifest import Manifest
from spotbatch.program import Program
from spotbatch.protocols import StoreError
from spotbatch.runner import Runner
from spotbatch.saved_folder import InFlux, SavedFolder, files_prefix
from spotbatch.signal_board import DRAIN, REBALANCE, SignalBoard
from spotbatch.strategies.spacing import CLOSEST_SAVES, CLOSEST_SECONDS
from spotbatch.task import Cause, Task
from spotbatch.worker import BatchWorker

LOOK_SECONDS = 1.0
"""Between two looks: a file that both find the same is taken."""
LOOK_COSTS = 20
"""Looks take a twentieth of the time at most."""
MARGIN_SECONDS = 15.0
"""The folder is in the bucket so long before the deadline; a quarter of the notice where that is less."""
TICK = 0.1
END_TRIES = 3
"""How often a folder is read at the command's end while somebody still writes in it."""
FAILED = 70
"""Exit status when the command could not be run, or its folder not be saved or restored."""


class GivenUp(Exception):
    """A save while the command runs is given up: a notice came, or the command ended; a better one follows."""


class Unreadable(Exception):
    """No version of the folder can be read back."""


def exit_status(status: int) -> int:
    """As a shell tells it: 128 and the signal for a command that a signal ended."""
    return status if status >= 0 else 128 - status


def _go_on() -> None:
    """A save that nothing shall cut short."""


class ProgramRunner(Runner):
    """A sibling of the runner of items: the same claim, the same ledger, and one item that runs outside."""

    def __init__(self, ledger: Ledger, program: Program, board: SignalBoard, cell: int) -> None:
        super().__init__(ledger, BatchWorker(), board, cell)
        self.program = program
        self.status: int | None = None
        """What `spotbatch run` ends with, once the command has ended by itself."""

    def run(self, claim: Task) -> None:
        """Run the command to its end, or give it back. Raises StoreError when the agent has been silent for a lease."""
        self._claim = claim
        """With the checkpoints that the record names."""
        self._where = {"run": claim.run, "task": claim.id, "epoch": claim.epoch}
        self._folder = SavedFolder(Path(self.program.folder), self.ledger.payloads, claim.run, claim.epoch, self.program.ready_file)
        command: Command | None = None
        try:
            self._restore()
            if self._claim.items_done == self._claim.items_total:
                self._finish()
            elif self.board.level >= DRAIN:
                self._give_back()
            else:
                command = Command(self.program.command, claim.epoch)
                say("command started", **self._where, group=command.group)
                told = self._watch(command)
                self._end(command.kill(), told)
        except Fenced as fault:
            self._tell_fenced(self._where, fault)
        except StoreError:
            raise
        except OSError as fault:
            # A full disk, or a folder that may not be read: the machine's trouble, and another one may have none.
            self.status = FAILED
            say("folder in trouble", 40, **self._where, why=str(fault))
            self._give_back("lost", str(fault))
        except Exception:
            self.status = FAILED
            self._fail(self._claim, self._where, traceback.format_exc())
        finally:
            if command is not None:
                command.kill()

    # -- resume -----------------------------------------------------------------------------------------------------------------------------

    def _restore(self) -> None:
        """The folder as the newest readable version has it. Raises Unreadable when there are versions and none can be read."""
        entries = self._claim.checkpoints
        for count in range(len(entries), 0, -1):
            try:
                manifest = self._manifest(entries[count - 1])
                gone = self._patiently(lambda: self._folder.restore(manifest, self._older(count)))  # noqa: B023
            except Damaged as fault:
                say("checkpoint damaged", 30, **self._where, why=str(fault), next="the version before" if count > 1 else "none")
                continue
            self._claim = replace(self._claim, checkpoints=entries[:count])
            say("folder restored", **self._where, files=len(manifest.paths), bytes=manifest.size, removed=gone)
            return
        if entries:
            raise Unreadable(f"none of {len(entries)} saved versions of {self.program.folder} can be read: see 'checkpoint damaged' in the log")
        # What was there before the command first ran: a kill before its first save must lead back to it.
        Path(self.program.folder).mkdir(parents=True, exist_ok=True)
        self._save_whole()

    def _manifest(self, entry: Any) -> Manifest:
        return Manifest.decode(self._patiently(lambda: self.ledger.progress(entry)).state)

    def _older(self, count: int) -> Manifest:
        """The version before: its chunks go when it is dropped. One that cannot be read leaves them until the run's end."""
        try:
            return self._manifest(self._claim.checkpoints[count - 2]) if count > 1 else Manifest()
        except Damaged:
            return Manifest()

    # -- while the command runs -------------------------------------------------------------------------------------------------------------

    def _watch(self, command: Command) -> bool:
        """Until the command has ended, by itself or cut short; True when it was told of a notice."""
        clock, board = self.clock, self.board
        self._looks: list[tuple[float, dict[str, Seen]]] = []
        self._rebalance_served, self._ready_saved = False, self._folder.ready()
        self._plan_save(clock())
        self._next_check = clock() + self.program.save_every
        next_look, told_at, margin = clock(), 0.0, 0.0
        while command.poll() is None:
            now = clock()
            if now > board.alive_until:
                self._await_agent()
            if board.level >= DRAIN and not told_at:
                told_at, margin = now, min(MARGIN_SECONDS, max(1.0, (board.deadline - now) / 4))
                command.signal(self.program.signal)
                say("command told", **self._where, signal=signal.Signals(self.program.signal).name, seconds_left=round(board.deadline - now, 1))
            if told_at and now >= self._end_of_grace(told_at, margin):
                say("command cut short", 30, **self._where, after=round(now - told_at, 1))
                command.kill()
            elif now >= next_look:
                self._looks = [*self._looks[-1:], (now, self._folder.look())]
                next_look = now + max(LOOK_SECONDS, LOOK_COSTS * (clock() - now))
                if not told_at:
                    self._save_if_due(command, now)
            self.pause(TICK)
        return told_at > 0

    def _end_of_grace(self, told_at: float, margin: float) -> float:
        changed = self._looks[-1][1] if self._looks else {}
        return min(told_at + self.program.grace, self.board.deadline - margin - self._folder.seconds_to_save(changed))

    def _plan_save(self, now: float) -> None:
        closest = max(CLOSEST_SECONDS, CLOSEST_SAVES * self._save_seconds)
        self._earliest, self._save_due = now + min(closest, self.program.save_every), now + max(self.program.save_every, closest)

    def _save_if_due(self, command: Command, now: float) -> None:
        def pulse() -> None:
            if self.board.level >= DRAIN or command.poll() is not None:
                raise GivenUp

        soon = self.board.level >= REBALANCE and not self._rebalance_served
        if now >= self._save_due or (soon and now >= self._earliest):
            try:
                saved = self._save_ready(pulse) if self.program.ready_file else self._save_still(pulse)
            except GivenUp:
                return
            if saved:
                self._rebalance_served = self._rebalance_served or soon
                self._plan_save(self.clock())
                self._next_check = self._save_due
        if now >= self._next_check:
            # Nothing to save is no reason to run on under a claim that has ended.
            self._next_check = now + self.program.save_every
            self._check_claim()

    def _save_still(self, pulse: Callable[[], None]) -> bool:
        """What two looks find unchanged; False when that is nothing new."""
        if len(self._looks) < 2:
            return False
        return self._upload(self._looks[1][1], self._looks[0][1], pulse)

    def _save_ready(self, pulse: Callable[[], None]) -> bool:
        """The whole folder, if the command has said anew that it is ready and touches nothing meanwhile."""
        ready = self._folder.ready()
        if ready is None or ready == self._ready_saved:
            return False
        try:
            if not self._upload(self._folder.look(), None, pulse, unless=lambda now: (self._folder.look(), self._folder.ready()) != (now, ready)):
                return False
        except InFlux:
            return False
        self._ready_saved = ready
        return True

    def _check_claim(self) -> None:
        """Raises Fenced when the claim has passed to somebody else."""
        found = self._patiently(lambda: self.ledger.task(self._claim.run, self._claim.id))
        if found is None or (found.state, found.epoch, found.owner) != ("running", self._claim.epoch, self._claim.owner):
            raise Fenced(f"{self._claim.key}: claim {self._claim.epoch} has ended")

    # -- saving -----------------------------------------------------------------------------------------------------------------------------

    def _save_whole(self, items_done: int = 0) -> None:
        for left in reversed(range(END_TRIES)):
            try:
                self._upload(self._folder.look(), None, _go_on, items_done=items_done)
                return
            except InFlux as fault:
                if not left:
                    raise
                say("folder still written", 30, **self._where, why=str(fault))
                self.pause(LOOK_SECONDS)

    def _upload(
        self,
        now: dict[str, Seen],
        before: dict[str, Seen] | None,
        pulse: Callable[[], None],
        *,
        items_done: int = 0,
        unless: Callable[[dict[str, Seen]], bool] = lambda _: False,
    ) -> bool:
        """Chunks first, then the manifest, then the record that names it; False when it would say what the last one says."""
        began, written = self.clock(), self._folder.bytes_written
        manifest = self._patiently(lambda: self._folder.upload(now, before, pulse))
        known = self._claim.checkpoints
        if unless(now) or (known and not items_done and manifest == self._folder.saved):
            return False
        progress = Progress(manifest.encode(), ['{"status":0}'] * items_done)
        # This version and the one before it are kept.
        named = replace(self._claim, checkpoints=known[-1:])
        self._claim = self._patiently(lambda: self.ledger.save(named, items_done, progress, merge=False))
        self._save_seconds = self.clock() - began
        self._delete(self._folder.accept(manifest) | {entry.key for entry in known[:-1] if entry.key})
        written = self._folder.bytes_written - written
        say(
            "checkpoint durable", **self._where, files=len(manifest.paths), bytes=manifest.size, written=written, seconds=round(self._save_seconds, 4)
        )
        return True

    def _delete(self, keys: set[str]) -> None:
        try:
            for key in sorted(keys):
                self.ledger.payloads.delete(key)
        except StoreError as fault:
            say("leftovers stay", 30, **self._where, why=str(fault))

    # -- the way out ------------------------------------------------------------------------------------------------------------------------

    def _end(self, status: int, told: bool) -> None:
        """A command that ended in order left its folder as it wants it; of one that was killed, only what stood still is taken."""
        say("command ended", **self._where, status=exit_status(status))
        try:
            if status == 0 or (told and status > 0):
                self._save_whole(items_done=0 if told else 1)
            else:
                self._save_what_stood_still()
        except InFlux as fault:
            if not told:
                raise
            say("folder still written", 30, **self._where, why=str(fault))
            self._save_what_stood_still()
        if told:
            self._give_back()
        elif status == 0:
            self._finish()
        else:
            self.status = exit_status(status)
            name = f" ({signal.Signals(-status).name})" if -status in set(signal.Signals) else ""
            self._fail(self._claim, self._where, f"the command ended with status {self.status}{name}")

    def _save_what_stood_still(self) -> None:
        now = self.clock()
        old = [seen for at, seen in self._looks if now - at >= LOOK_SECONDS]
        if old and not self.program.ready_file:
            self._upload(self._folder.look(), old[-1], _go_on)

    def _give_back(self, cause: Cause = "interrupted", why: str = "notice") -> None:
        task = self._patiently(lambda: self.ledger.give_back(self._claim, cause, why))
        say("given back", **self._where, items=task.items_done, of=task.items_total, state=task.state)

    def _finish(self) -> None:
        last = replace(self._claim, checkpoints=self._claim.checkpoints[-1:])
        done = self._patiently(lambda: self.ledger.finish(last))
        self.status = 0
        say("task done", **self._where, items=done.items_done)
        self._tidy(done)
        chunks = self._folder.saved.chunks
        self._patiently(
            lambda: self._delete({key for key in self.ledger.payloads.keys(files_prefix(done.run)) if key.rsplit("/", 1)[1] not in chunks})
        )
