"""`spotbatch run`: submit a program, run it here, end with its status. `python -m spotbatch.run_program` where the tools are not installed."""

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

from spotbatch import clouds, log
from spotbatch.bad_record import BadRecord
from spotbatch.checkpoint import Damaged
from spotbatch.exit_status import UNREACHABLE
from spotbatch.ledger import Ledger
from spotbatch.manifest import Manifest
from spotbatch.program import TASK, USAGE, BadCommandLine, CommandLine, Program
from spotbatch.program_agent import ProgramAgent
from spotbatch.program_runner import FAILED
from spotbatch.protocols import StoreError
from spotbatch.saved_folder import SavedFolder
from spotbatch.submit import Submission, run_key, submit
from spotbatch.task import PROGRAM_JOB, Task, items_key

WRONG = 2


def submitted(ledger: Ledger, program: Program) -> Program:
    """The program with its run's name, queued unless it was before. Raises BadCommandLine when the name stands for another command."""
    run = program.run or hashlib.sha256(f"{program.folder}\n".encode() + program.item).hexdigest()[:12]
    submission = Submission.read([program.item], 1, run, PROGRAM_JOB)
    found = ledger.store.read(run_key(submission.run))
    if found is not None and found.get("digest") != submission.digest:
        known = ledger.payloads.get(items_key(submission.run, TASK)).decode(errors="replace").strip()
        raise BadCommandLine(f"--run: {submission.run!r} stands for {known:.200}, not for this command; choose another name")
    list(submit(ledger, submission))
    return replace(program, run=submission.run)


def refuse_ledger_in_folder(queue: str, folder: str) -> None:
    """Raises BadCommandLine: a restore would take the ledger with it."""
    if queue.startswith("local:") and Path(queue.removeprefix("local:")).resolve().is_relative_to(folder):
        raise BadCommandLine(f"--checkpoint-dir: {folder!r} holds the queue {queue!r}; one of the command's own is needed")


def fetch(ledger: Ledger, task: Task, folder: Path) -> bool:
    """Bring a finished program's folder here, unless there is something in it. Raises Damaged, StoreError, OSError."""
    if folder.exists() and any(folder.iterdir()):
        return False
    manifest = Manifest.decode(ledger.progress(task.checkpoints[-1]).state)
    SavedFolder(folder, ledger.payloads, task.run, task.epoch).restore(manifest, Manifest())
    return True


def _complain(text: str, status: int) -> int:
    for line in text.splitlines():
        print(f"spotbatch run: error: {line}", file=sys.stderr)
    return status


def _ended(ledger: Ledger, program: Program) -> int | None:
    """The status of a run that has ended already, wherever; None while it may run. Raises StoreError, BadRecord, Damaged, OSError."""
    task = ledger.task(program.run, TASK)
    if task is not None and task.state == "done":
        fetched = fetch(ledger, task, Path(program.folder))
        log.say("program done", run=program.run, folder=program.folder, restored=fetched)
        return 0
    if task is not None and task.state == "dead":
        why = "it was cancelled" if task.cancelled else task.history[-1].get("why", "") if task.history else ""
        advice = "" if task.cancelled else f"; spotbatch retry {program.run} --dead gives it fresh tries"
        return _complain(f"run {program.run} is dead: {why}{advice}", FAILED)
    return None


def main(arguments: list[str]) -> int:
    """The command's exit status; see USAGE for the others."""
    if arguments[:1] in (["--help"], ["-h"]):
        print(USAGE)
        return 0
    try:
        line = CommandLine.read(arguments)
        queue = line.queue or clouds.default_queue()
        refuse_ledger_in_folder(queue, line.program.folder)
        ledger = Ledger(clouds.connect(queue))
        program = submitted(ledger, line.program)
        host = clouds.host(queue)
        log.start(sys.stderr, machine=host.identity().machine)
        if (status := _ended(ledger, program)) is not None:
            return status
        log.say("program queued", run=program.run, queue=queue, folder=program.folder)
        agent = ProgramAgent.beside_others(queue, program, host, line.lease, ledger.machines)
        ended = agent.run()
        if (status := agent.status) is not None:
            return status
        return ended if (status := _ended(ledger, program)) is None else status
    except (BadCommandLine, clouds.BadQueueName) as fault:
        return _complain(str(fault), WRONG)
    except (StoreError, BadRecord, Damaged, OSError) as fault:
        return _complain(str(fault), UNREACHABLE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
