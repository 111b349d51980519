"""Real agents as processes on this computer, on one queue."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

JOBS = Path(__file__).parent / "jobs"


class Machines:
    def __init__(self, folder: Path, queue: str = "", before: tuple[str, ...] = ()) -> None:
        """`queue`: default a local one. `before`: what every command line begins with, such as nsenter."""
        self.folder, self.log, self.before = folder, folder / "job.log", before
        self.queue = queue or f"local:{folder / 'queue'}"
        self.environment = {**os.environ, "SPOTBATCH_QUEUE": self.queue, "JOB_LOG": str(self.log), "PYTHONPATH": str(JOBS)}
        self.running: list[subprocess.Popen[bytes]] = []
        self._output = (folder / "agents.log").open("ab")

    def command(self, *arguments: str, status: int = 0) -> str:
        """Run `spotbatch ...`; what it printed."""
        done = subprocess.run(
            [*self.before, sys.executable, "-c", "from spotbatch.tools.cli import main; main()", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == status, done.stderr
        return done.stdout if status == 0 else done.stderr

    def submit(self, items: int, items_per_task: int, run: str = "run") -> None:
        path = self.folder / "items.jsonl"
        path.write_text("".join(f"{number}\n" for number in range(items)))
        self.command("submit", "--items", str(path), "--items-per-task", str(items_per_task), "--run", run)

    def start(self, job: str = "counted:Counted", *options: str, **environment: str) -> subprocess.Popen[bytes]:
        command = [*self.before, sys.executable, "-m", "spotbatch.agent", job, "--lease", "2", *options]
        agent = subprocess.Popen(command, env={**self.environment, **environment}, stdout=self._output, stderr=self._output, cwd=self.folder)
        self.running.append(agent)
        return agent

    def status(self) -> dict:
        return json.loads(self.command("status", "--json"))

    def results(self, run: str = "run") -> list:
        return [json.loads(line) for line in self.command("results", run).splitlines()]

    def events(self) -> list[dict]:
        lines = (self.folder / "agents.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def ended(self, agent: subprocess.Popen[bytes], seconds: float = 60) -> int:
        return agent.wait(timeout=seconds)

    def close(self) -> None:
        for agent in self.running:
            if agent.poll() is None:
                agent.send_signal(signal.SIGCONT)
                agent.kill()
                agent.wait()
        self._output.close()


def processes_of(agent: int) -> list[int]:
    """The worker processes of an agent."""
    listed = Path(f"/proc/{agent}/task/{agent}/children")
    try:
        return [int(pid) for pid in listed.read_text().split()]
    except OSError:
        return []


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except OSError:
        return False
