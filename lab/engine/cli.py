"""Find the Pulumi command line, or get it."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from lab.engine.go_tool import GoTool, Progress, ToolError
from lab.places import cache_folder

OLDEST = (3, 259, 0)
"""The oldest command line that the project is known to run with: the one that `lab/tools/pulumi` builds."""
DOWNLOAD_SECONDS = 120
"""How long the SDK's own installer may take in all; a host that does not answer is given up after 5 s."""

_INSTALL = """
import socket, sys
socket.setdefaulttimeout(5)
from pulumi.automation import PulumiCommand
from semver import VersionInfo
PulumiCommand.install(root=sys.argv[1], version=VersionInfo.parse(sys.argv[2]))
"""


class CliMissing(ToolError):
    """There is no Pulumi command line here; the message lists what was looked at, or tried."""


def find_cli() -> Path:
    """The `pulumi` that is here already: on PATH and new enough, else downloaded or built earlier. Raises `CliMissing`."""
    on_path = shutil.which("pulumi")
    if on_path and cli_version(Path(on_path)) >= OLDEST:
        return Path(on_path)
    kept = [_downloaded(), GoTool("pulumi").path]
    found = next((path for path in kept if path.exists()), None)
    if not found:
        raise CliMissing(f"no Pulumi CLI: {_on_path_fault()}, and neither {kept[0]} nor {kept[1]} exists (make setup)")
    return found


def get_cli(progress: Progress = lambda *_: None) -> Path:
    """The `pulumi` to use: what `find_cli` finds, else the SDK's own installer, else a build from `lab/tools/pulumi` (minutes, once).

    Raises `CliMissing` that lists what was tried and what each way lacks.
    """
    with contextlib.suppress(CliMissing):
        return find_cli()
    progress("asking the SDK's installer for the Pulumi CLI", 0, 0)
    download_fault = _download(_downloaded())
    if not download_fault:
        return _downloaded()
    try:
        return GoTool("pulumi", "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version").build(progress)
    except ToolError as error:
        tried = (_on_path_fault(), download_fault, f"build from lab/tools/pulumi: {error}")
        raise CliMissing("no Pulumi CLI, and no way to get one:\n" + "\n".join(f"  - {line}" for line in tried)) from error


def cli_version(cli: Path) -> tuple[int, ...]:
    """Version of a command line, (0,) if it does not run."""
    try:
        answer = subprocess.run([cli, "version"], capture_output=True, text=True, timeout=20, env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"})
    except (OSError, subprocess.TimeoutExpired):
        return (0,)
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", answer.stdout)
    return tuple(map(int, found.groups())) if found else (0,)


def has_own_language_host(cli: Path) -> bool:
    """Whether the official `pulumi-language-python` lies beside this command line, as in every official download."""
    return (cli.resolve().parent / "pulumi-language-python").exists()


def _on_path_fault() -> str:
    on_path = shutil.which("pulumi")
    oldest = ".".join(map(str, OLDEST))
    return f"PATH: {on_path} is older than {oldest} or does not start" if on_path else f"PATH: no program `pulumi` ({oldest} or newer)"


def _downloaded() -> Path:
    return cache_folder() / "tools" / f"pulumi-{version('pulumi')}" / "bin" / "pulumi"


def _download(target: Path) -> str:
    """Install beside the target and move it there whole; returns what went wrong, or nothing."""
    root = target.parent.parent
    unfinished = root.with_name(f"{root.name}.{os.getpid()}")
    command = [sys.executable, "-c", _INSTALL, str(unfinished), version("pulumi")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=DOWNLOAD_SECONDS)
        if process.returncode == 0:
            unfinished.rename(root)
            return ""
        return f"the SDK's installer (pulumi {version('pulumi')}): {output.strip().splitlines()[-1]}"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return f"the SDK's installer (pulumi {version('pulumi')}): not done after {DOWNLOAD_SECONDS} s"
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
