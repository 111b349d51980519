"""The command line: submit, worker, run, status, results, explain, cancel, retry, remove."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from spotbatch import agent, clouds, run_program
from spotbatch.bad_record import BadRecord
from spotbatch.checkpoint import Damaged
from spotbatch.cleaning import Unfinished, remove
from spotbatch.ledger import Ledger
from spotbatch.protocols import StoreError
from spotbatch.submit import BadSubmit, Submission, results, run_key, submit
from spotbatch.task import STATES, Task
from spotbatch.tools import explain

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Batch work that survives Spot interruptions.")

Queue = Annotated[str, typer.Option("--queue", envvar="SPOTBATCH_QUEUE", help="local:FOLDER or the URL of an SQS queue")]
Run = Annotated[str, typer.Argument(help="the run's name, as submit printed it")]


@app.command("submit")
def submit_command(
    items: Annotated[Path, typer.Option("--items", exists=True, dir_okay=False, readable=True, help="one JSON value a line")],
    items_per_task: Annotated[int, typer.Option("--items-per-task", min=1, help="how many items a worker claims at once")],
    run: Annotated[str | None, typer.Option("--run", help="a name; default: a hash of items and job")] = None,
    job: Annotated[str, typer.Option("--job", help="MODULE:CLASS; only part of the default name")] = "",
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


def counts(tasks: list[Task]) -> dict[str, Any]:
    """`{"tasks": {"queued", "running", "done", "dead"}, "items": {"total", "done"}}`"""
    return {
        "tasks": {state: sum(task.state == state for task in tasks) for state in STATES},
        "items": {"total": sum(task.items_total for task in tasks), "done": sum(task.items_done for task in tasks)},
    }


def tasks_of(ledger: Ledger, run: str | None) -> list[Task]:
    """Of one run, or of all. Raises LookupError."""
    if run is not None and ledger.store.read(run_key(run)) is None:
        raise LookupError(f"run {run!r} is not known here")
    runs = [run] if run is not None else [record["run"] for record in ledger.store.runs()]
    return [Task.from_record(record) for name in runs for record in ledger.store.run_tasks(name)]


@app.command()
def status(
    run: Annotated[str | None, typer.Argument(help="one run; default: all")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="the same as JSON")] = False,
    queue: Queue = clouds.DEFAULT_QUEUE,
) -> None:
    """How far a run is, or all runs together."""
    tasks = tasks_of(Ledger(clouds.connect(queue)), run)
    found = counts(tasks)
    if as_json:
        print(json.dumps(found))
        return
    table = Table("", *STATES, "items done", title=f"{run or 'all runs'} on {queue}", title_justify="left")
    table.add_row("tasks", *(str(found["tasks"][state]) for state in STATES), f"{found['items']['done']} of {found['items']['total']}")
    console = Console()
    console.print(table)
    taken = {cause: sum(task.attempts[cause] for task in tasks) for cause in ("interrupted", "lost", "failed")}
    console.print("taken back: " + ", ".join(f"{count} {cause}" for cause, count in taken.items()))
    for task in tasks:
        if task.state == "dead":
            why = "cancelled" if task.cancelled else (task.traceback.strip().rsplit("\n", 1)[-1] or task.history[-1].get("why", ""))
            console.print(f"dead: {task.run} {task.id}: {why}", markup=False, soft_wrap=True)


@app.command("results")
def results_command(run: Run, queue: Queue = clouds.DEFAULT_QUEUE) -> None:
    """Print each result once, in item order, one JSON value a line."""
    for line in results(Ledger(clouds.connect(queue)), run):
        print(line)


@app.command("explain")
def explain_command(
    task: Annotated[str, typer.Argument(help="the task's number, as submit printed it")],
    run: Annotated[str, typer.Option("--run", help="the run's name")],
    queue: Queue = clouds.DEFAULT_QUEUE,
) -> None:
    """Tell one task's history, claim by claim, and what each interruption cost."""
    ledger = Ledger(clouds.connect(queue))
    found = ledger.task(run, task.zfill(6))
    if found is None:
        known = [one.id for one in tasks_of(ledger, run)]
        raise LookupError(f"task {task!r} is not known in run {run!r}, which has {', '.join(known[:3])}{' ...' if len(known) > 3 else ''}")
    for line in explain.lines(found, ledger.store.now()):
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
    print(f"removed {run} with {remove(Ledger(clouds.connect(queue)), run)} tasks")


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


def main() -> None:
    """2 for a wrong command line or input, 75 when the queue cannot be reached: each fault on a line of its own, no traceback."""
    try:
        app()
    except (BadSubmit, Unfinished, clouds.BadQueueName, LookupError) as fault:
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
