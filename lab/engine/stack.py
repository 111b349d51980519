"""One stack of the project, run by the real command line inside the lab."""

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from lab.engine import command
from lab.engine.command_result import CommandResult
from lab.engine.home import Home
from lab.engine.plan import plan_of

SECONDS = {"preview": 180, "up": 600, "refresh": 300, "destroy": 600}
"""Time-out of each command; the slowest seen on two cores takes a tenth of it."""


class EngineError(Exception):
    """The command line failed where no other outcome is of use; the message is what it printed."""


class Stack:
    """One stack of the project: every method runs one literal `pulumi` command, and makes the stack first where it does not exist.

    The stack's configuration is used as a copy, because the command line writes the salt of its secrets into it.
    `on_line` is told each line as it is printed.
    """

    def __init__(
        self, name: str, cli: Path, project: Path, home: Home, environment: dict[str, str], on_line: Callable[[str], None] = lambda line: None
    ) -> None:
        self.name = name
        self._cli = cli
        self._project = project
        self._home = home
        self._environment = environment
        self._on_line = on_line
        self._copy = home.projects / name

    def preview(self, *more: str) -> CommandResult:
        """`pulumi preview`, with more options such as `--expect-no-changes` or `--diff`."""
        return self._change("preview", *more)

    def up(self, *more: str) -> CommandResult:
        """`pulumi up --yes --skip-preview`."""
        return self._change("up", "--yes", "--skip-preview", *more)

    def refresh(self, *more: str) -> CommandResult:
        """`pulumi refresh --yes --skip-preview`; with `--expect-no-changes` it fails where the cloud differs from the state."""
        return self._change("refresh", "--yes", "--skip-preview", *more)

    def destroy(self, *more: str) -> CommandResult:
        """`pulumi destroy --yes --skip-preview`."""
        return self._change("destroy", "--yes", "--skip-preview", *more)

    def outputs(self) -> dict[str, Any]:
        """Outputs of the stack, secrets in the clear. Raises `EngineError` if there is no such stack."""
        return json.loads(self._must("stack", "output", "--json", "--show-secrets", "--stack", self.name, folder=self._copy).stdout)

    def plan(self) -> dict[str, Any]:
        """What a first `up` of this stack would make, whatever is deployed now; the same project gives the same plan, byte for byte.

        Raises `EngineError` with the preview's own messages where it fails.
        """
        with tempfile.TemporaryDirectory(prefix="plan-", dir=self._home.folder) as empty:
            elsewhere = {**self._environment, "PULUMI_BACKEND_URL": f"file://{empty}"}
            fresh = Stack(self.name, self._cli, self._project, self._home, elsewhere)
            fresh._copy = Path(empty) / "project"
            fresh._make()
            steps = fresh._must("preview", "--json", *fresh._options(), folder=self._project, seconds=SECONDS["preview"]).stdout
        return plan_of(self.name, json.loads(steps))

    def cancel(self) -> CommandResult:
        """`pulumi cancel`: take away the lock that a killed command left."""
        return self._run("cancel", "--yes", "--stack", self.name, folder=self._copy)

    def exists(self) -> bool:
        """Whether the lab knows this stack."""
        return self._checkpoint.exists()

    def _change(self, verb: str, *more: str) -> CommandResult:
        self._make()
        with tempfile.TemporaryDirectory(dir=self._home.folder) as scratch:
            log = Path(scratch) / "events"
            result = self._run(verb, *more, *self._options(), "--event-log", str(log), seconds=SECONDS[verb], log=log, folder=self._project)
        if result.code < 0 or result.code == 255:
            self.cancel()
        return result

    def _options(self) -> list[str]:
        return ["--stack", self.name, "--config-file", str(self._configuration), "--non-interactive", "--color", "never"]

    @property
    def _checkpoint(self) -> Path:
        return self._home.backend / ".pulumi" / "stacks" / _project(self._project)["name"] / f"{self.name}.json"

    def _mend(self) -> None:
        """A command line that is killed while it writes leaves half a file: the checkpoint before lies beside it, its notes can go."""
        backup = self._checkpoint.with_name(self._checkpoint.name + ".bak")
        if self._checkpoint.exists() and not _is_json(self._checkpoint) and backup.exists() and _is_json(backup):
            self._checkpoint.write_bytes(backup.read_bytes())
        for notes in self._checkpoint.parent.glob(f"{self.name}.*.attrs"):
            if not _is_json(notes):
                notes.unlink()

    @property
    def _configuration(self) -> Path:
        return self._copy / f"Pulumi.{self.name}.yaml"

    def _make(self) -> None:
        """Copy the configuration as it is now, keep the salt of the copy, and make the stack if the backend does not have it."""
        source = self._project / _project(self._project).get("stackConfigDir", "") / f"Pulumi.{self.name}.yaml"
        if not source.exists():
            there = sorted(path.name.split(".")[1] for path in source.parent.glob("Pulumi.*.yaml"))
            raise EngineError(f"there is no stack {self.name!r}: {source} does not exist; stacks are {', '.join(there)}")
        self._copy.mkdir(parents=True, exist_ok=True)
        (self._copy / "Pulumi.yaml").write_text(f"name: {_project(self._project)['name']}\nruntime: python\n")
        # As text, for the command line shall read exactly what the owner of the file wrote.
        text = re.sub(r"^(encryptionsalt|secretsprovider|encryptedkey):.*\n?", "", source.read_text(), flags=re.M)
        for key, value in self._home.provider_settings.items():
            text = re.sub(r"^config:.*$", rf'config:\n  {key}: "{value}"', text, count=1, flags=re.M)
        salt = re.search(r"^encryptionsalt: .*$", self._configuration.read_text(), re.M) if self._configuration.exists() else None
        self._configuration.write_text(text.rstrip("\n") + f"\n{salt[0] if salt else ''}\n")
        self._mend()
        if not (salt and self.exists()):
            made = self._run("stack", "init", self.name, "--no-select", "--non-interactive", folder=self._copy, quiet=True)
            if not made.ok and "already exists" not in made.text:
                raise EngineError(made.text.strip())

    def _must(self, *arguments: str, folder: Path, seconds: float = 60) -> CommandResult:
        result = self._run(*arguments, folder=folder, seconds=seconds, quiet=True)
        if not result.ok:
            raise EngineError(_told(result))
        return result

    def _run(self, *arguments: str, folder: Path, seconds: float = 60, log: Path | None = None, quiet: bool = False) -> CommandResult:
        on_line = (lambda line: None) if quiet else self._on_line
        return command.run([self._cli, *arguments], folder, self._environment, seconds=seconds, event_log=log, on_line=on_line)


def _told(result: CommandResult) -> str:
    """The messages of a failed command; with --json they are in the object that it prints."""
    try:
        diagnostics = json.loads(result.stdout).get("diagnostics") or []
    except ValueError:
        diagnostics = []
    told = [line["message"].strip() for line in diagnostics if line.get("severity") in ("error", "warning")]
    return "\n".join(told) or result.text.strip()


def _is_json(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_text()), dict)
    except ValueError:
        return False


def _project(folder: Path) -> dict[str, Any]:
    return yaml.safe_load((folder / "Pulumi.yaml").read_text())
