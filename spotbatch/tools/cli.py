"""The command line. A command with more to it than a call is a file of its own here, with its function `command`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from spotbatch import agent, clouds, run_program
from spotbatch.bad_record import BadRecord
from spotbatch.checkpoint import Damaged
from spotbatch.cleaning import Unfinished, remove
from spotbatch.ledger import Ledger
from spotbatch.protocols import StoreError
from spotbatch.submit import BadSubmit, Submission, results, submit
from spotbatch.tools import check, convert, explain, savings, simulate, status
from spotbatch.tools.convert_provisioner import BadProvisioner
from spotbatch.tools.options import Queue, Run, run_record, tasks_of

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Batch work that survives Spot interruptions.")


@app.command("submit")
def submit_command(
    items: Annotated[Path, typer.Option("--items", exists=True, dir_okay=False, readable=True, help="one JSON value a line")],
    items_per_task: Annotated[int, typer.Option("--items-per-task", min=1, help="how many items a worker claims at once")],
    run: Annotated[str | None, typer.Option("--run", help="a name; default: a hash of items and job")] = None,
    job: Annotated[str, typer.Option("--job", help="MODULE:CLASS whose workers alone may claim the tasks; default: any worker")] = "",
    queue: Queue = clouds.DEFAULT_QUEUE,
) -> None:
    """Queue the items as tasks; the same again continues what was cut short and doubles nothing. Prints the run, then a task id a line."""
    with items.open("rb") as lines:
        submission = Submission.read(lines, items_per_task, run, job)
    ledger = Ledger(clouds.connect(queue))
    print(submission.run, flush=True)
    for task in submit(ledger, submission):
        print(task, flush=True)


@app.command("worker", context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}, add_help_option=False)
def worker_command(context: typer.Context) -> None:
    """Run tasks on this machine: spotbatch worker MODULE:CLASS [--processes N] [--lease SECONDS] [--until-empty]."""
    raise typer.Exit(agent.main(context.args))


@app.command("run", context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}, add_help_option=False)
def run_command(context: typer.Context) -> None:
    """Run any command so that it survives interruptions: spotbatch run --checkpoint-dir DIR [OPTIONS] -- COMMAND ..."""
    # As typed: the parser has taken the " -- " away.
    raise typer.Exit(run_program.main(sys.argv[sys.argv.index("run") + 1 :]))


@app.command("results")
def results_command(run: Run, queue: Queue = clouds.DEFAULT_QUEUE) -> None:
    """Print each result once, in item order, one JSON value a line."""
    ledger = Ledger(clouds.connect(queue))
    run_record(ledger, run)
    for line in results(ledger, run):
        print(line)


@app.command()
def cancel(run: Run, queue: Queue = clouds.DEFAULT_QUEUE) -> None:
    """End every task of a run that is not done; their workers stop at their next checkpoint. Results so far stay."""
    ledger = Ledger(clouds.connect(queue))
    ended = [task for task in tasks_of(ledger, run) if ledger.cancel(run, task.id)]
    print(f"cancelled {len(ended)} tasks of {run}")


@app.command("remove")
def remove_command(run: Run, queue: Queue = clouds.DEFAULT_QUEUE) -> None:
    """Delete a run that has ended, with its items, checkpoints and results."""
    ledger = Ledger(clouds.connect(queue))
    run_record(ledger, run)
    print(f"removed {run} with {remove(ledger, run)} tasks")


@app.command()
def retry(
    run: Run,
    dead: Annotated[bool, typer.Option("--dead", help="the only kind there is to retry; said so that nobody does it by accident")] = False,
    queue: Queue = clouds.DEFAULT_QUEUE,
) -> None:
    """Queue the dead tasks of a run again, with their progress and fresh budgets; cancelled ones stay."""
    if not dead:
        raise typer.BadParameter("say --dead: queued, running and done tasks are not retried", param_hint="--dead")
    ledger = Ledger(clouds.connect(queue))
    revived = [task for task in tasks_of(ledger, run) if ledger.revive(task)]
    print(f"queued {len(revived)} dead tasks of {run} again")


_COMMANDS = {
    "status": status,
    "explain": explain,
    "savings": savings,
    "check": check,
    "convert": convert,
    "simulate": simulate,
}
for _name, _module in _COMMANDS.items():
    app.command(_name)(_module.command)


def main() -> None:
    """2 for a wrong command line or input, 75 when the queue cannot be reached: each fault on a line of its own, no traceback."""
    try:
        app()
    except (BadProvisioner, BadSubmit, Unfinished, clouds.BadQueueName, LookupError) as fault:
        _end(str(fault.args[0] if fault.args else fault), 2)
    except (StoreError, BadRecord, Damaged) as fault:
        _end(str(fault), 75)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _end(text: str, status: int) -> None:
    for line in text.splitlines():
        print(f"spotbatch: error: {line}", file=sys.stderr)
    sys.exit(status)
