"""A pod of an indexed Job: `python -m spotbatch.clouds.kubernetes MODULE:CLASS --run RUN` does the task that its index names.

The Job is the doorbell. A pod that is interrupted ends with 143, which its Job does not count, and the next pod of the same index goes on
from the checkpoint. Ledger and bucket are those of the queue; its messages are not looked at.
"""

import argparse
import os
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

from spotbatch import clouds, log
from spotbatch.agent import LEASE_SECONDS, STOPPED, Agent
from spotbatch.clouds.kubernetes_process import RUN, TASK
from spotbatch.exit_status import BAD_JOB, CANNOT_START, UNREACHABLE
from spotbatch.ledger import Ledger
from spotbatch.notice import Notice
from spotbatch.protocols import Identity, StoreError
from spotbatch.task import Task

INTERRUPTED = 143
"""Given back, or fenced: as a process that SIGTERM ended, and never 0, which would make the index complete.
https://github.com/kubernetes/kubernetes/issues/118310"""

GIVEN_UP = 42
"""The ledger has given the task up, or has none for this index: another pod is no use."""

FAILED = 1
"""The job raised; the task keeps its progress, and the ledger counts."""

GRACE_SECONDS = 100
SPARE_SECONDS = 5.0
"""Of its grace the pod leaves so much for its own end."""


class PodHost:
    """This pod: a machine of its own that is told to stop by SIGTERM, which the agent hears itself."""

    def identity(self) -> Identity:
        # Two pods of an index never have the same name, so a successor is another machine.
        name = os.environ.get("SPOTBATCH_POD_NAME") or f"{socket.gethostname()}-{os.getpid()}"
        return Identity(name, os.environ.get("SPOTBATCH_POD_UID") or name)

    def notices(self) -> Iterator[Notice]:
        return iter(())

    def complete_hook(self) -> None:
        pass

    def shut_down(self) -> None:
        pass


class PodAgent(Agent):
    """One worker process, one task, and an end with it."""

    process_module = "spotbatch.clouds.kubernetes_process"

    def __init__(self, queue: str, job: str, lease: float, grace: int) -> None:
        super().__init__(queue, job, PodHost(), lease=lease, until_empty=True)
        self._grace = grace

    def hear(self, notice: Notice) -> None:
        """A stop has a deadline here: the pod is killed when its grace is over."""
        if notice.reason == STOPPED and notice.deadline is None:
            notice = replace(notice, deadline=notice.sent + max(1.0, self._grace - SPARE_SECONDS))
        super().hear(notice)


def task_of(index: str) -> str:
    """The task's id: index 7 is task 000007. Raises ValueError naming the variable."""
    if not index.isdigit():
        raise ValueError(f"JOB_COMPLETION_INDEX: {index!r} is not a whole number; this is for pods of a Job with completionMode Indexed")
    return index.zfill(6)


def exit_status(task: Task | None) -> int | None:
    """What a pod ends with over a task that stands like this; None while it is still to do."""
    if task is None or task.state == "dead":
        return GIVEN_UP
    return 0 if task.state == "done" else None


def main(arguments: list[str] | None = None) -> int:
    """0 when the task is done, here or before; 143, 42, 75 and 1 as above; 64 when the job's name leads nowhere; 2 for a wrong command line."""
    parser = argparse.ArgumentParser(prog="spotbatch.clouds.kubernetes", description="Do the task of this pod's index.")
    parser.add_argument("job", metavar="MODULE:CLASS", help="a BatchWorker, or a function with a loop of its own, importable from the current folder")
    parser.add_argument("--run", required=True, help="the run's name")
    parser.add_argument("--queue", help="local:FOLDER, an SQS queue URL or pubsub:projects/PROJECT/subscriptions/NAME (SPOTBATCH_QUEUE)")
    parser.add_argument("--grace", type=int, default=GRACE_SECONDS, metavar="SECONDS", help="the pod's terminationGracePeriodSeconds (100)")
    parser.add_argument("--lease", type=float, default=LEASE_SECONDS, metavar="SECONDS", help="silence after which a pod counts as gone (60)")
    chosen = parser.parse_args(arguments)
    try:
        os.environ[RUN], os.environ[TASK] = chosen.run, task_of(os.environ.get("JOB_COMPLETION_INDEX", ""))
        queue = chosen.queue or clouds.default_queue()
        log.start(machine=PodHost().identity().machine)
        ledger = Ledger(clouds.connect(queue))
        if (status := exit_status(_told(ledger))) is not None:
            return status
        ended = PodAgent(queue, chosen.job, chosen.lease, chosen.grace).run()
        task = _told(ledger)
    except (ValueError, clouds.BadQueueName) as fault:
        print(f"spotbatch: error: {fault}", file=sys.stderr)
        return 2
    except (StoreError, OSError) as fault:
        print(f"spotbatch: error: {fault}", file=sys.stderr)
        time.sleep(1.0)
        return UNREACHABLE
    if (status := exit_status(task)) is not None:
        return status
    if ended == CANNOT_START:
        return CANNOT_START
    if ended == 2:
        return BAD_JOB
    failed = task is not None and task.state == "queued" and bool(task.history) and task.history[-1]["what"] == "failed"
    return FAILED if failed and ended != INTERRUPTED else INTERRUPTED


def _told(ledger: Ledger) -> Task | None:
    """The task, after saying so where the ledger has none or has given it up. Raises StoreError."""
    run, name = os.environ[RUN], os.environ[TASK]
    task = ledger.task(run, name)
    if task is None:
        log.say("no such task", 40, run=run, task=name, advice="submit the run first, with as many tasks as the Job has completions")
    elif task.state == "dead":
        log.say("task dead", 40, run=run, task=name, advice=f"spotbatch retry {run} --dead gives it fresh tries")
    return task


if __name__ == "__main__":
    sys.exit(main())
