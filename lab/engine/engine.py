"""Run the project's stacks with the real Pulumi engine against a cloud on this machine."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from lab.engine.cli import get_cli
from lab.engine.home import Home
from lab.engine.stack import Stack


class Engine:
    """Runs the stacks of one checkout with the real Pulumi command line, apart from the user's own Pulumi and AWS settings.

    `home` keeps the lab's plugins and stacks; `cloud_environment` says how to reach the cloud (`LocalCloud.environment`);
    `cli` is the command line to use, by default the one that `get_cli` finds or gets.
    Raises `ToolError` where there is no command line, or no real provider though `LAB_REAL_PROVIDER=1` asks for it.
    """

    def __init__(self, checkout: Path, home: Path, cloud_environment: Mapping[str, str], cli: Path | None = None) -> None:
        self.cli = cli or get_cli()
        self._checkout = checkout.resolve()
        self._home = Home(home.resolve(), self.cli)
        self._home.prepare()
        self.environment = self._home.environment(cloud_environment)

    def stack(self, name: str, on_line: Callable[[str], None] = lambda line: None) -> Stack:
        """One stack by the name of its file, `stacks/Pulumi.NAME.yaml`; `on_line` is told each line that its commands print."""
        return Stack(name, self.cli, self._checkout, self._home, self.environment, on_line)

    @staticmethod
    def forget(home: Path) -> None:
        """Forget every stack of a lab whose cloud is gone: what they describe no longer exists."""
        for folder in ("backend", "projects"):
            shutil.rmtree(home / folder, ignore_errors=True)
