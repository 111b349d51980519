"""Wait for a task that nobody rings for: its worker knows which one it is."""

import time
from collections.abc import Callable

from spotbatch.ledger import Ledger, Refused
from spotbatch.log import say
from spotbatch.signal_board import DRAIN, SignalBoard
from spotbatch.task import Task

WAIT_SECONDS = 0.5


def claim_when_free(ledger: Ledger, run: str, task: str, attempt: Callable[[], Task], board: SignalBoard, at: int) -> Task | None:
    """What `attempt` claims, once nobody else has it; None when the task has ended, is absent, or the board says drain. Raises StoreError.

    The process's cell is busy from before the claim, so that an agent that leads its workers out waits for one that is under way.
    """
    waits, cell = "", board.cells[at]
    while board.board.level < DRAIN:
        cell.busy = 1.0
        try:
            claim = attempt()
        except Refused as why:
            cell.busy = 0.0
            found = ledger.task(run, task)
            if found is None or found.state in ("done", "dead"):
                return None
            if str(why) != waits:
                waits = str(why)
                say("waiting", run=run, task=task, why=waits, machine=found.owner.machine if found.owner else None)
            time.sleep(WAIT_SECONDS)
            continue
        say("task claimed", run=claim.run, task=claim.id, epoch=claim.epoch, items=claim.items_done, of=claim.items_total)
        return claim
    return None
