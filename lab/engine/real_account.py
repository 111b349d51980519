"""Run `pulumi` as its user would, in the user's own account: none of the lab's settings, plugins or stacks."""

import os
from typing import NoReturn

from lab.engine.cli import get_cli, has_own_language_host
from lab.engine.home import write_language_host
from lab.places import CHECKOUT, state_folder
from lab.progress import ProgressDisplay


def run_for_real(verb: str, stack: str) -> NoReturn:
    """Become `pulumi VERB --stack STACK` with the caller's environment, so that its questions and exit code are theirs.

    A command line that was built here lacks the official language host; the stand-in is then put on PATH, and Pulumi says so.
    """
    with ProgressDisplay() as progress:
        cli = get_cli(progress)
    environment = dict(os.environ)
    if not has_own_language_host(cli):
        folder = state_folder() / "bin"
        write_language_host(folder)
        environment["PATH"] = f"{folder}{os.pathsep}{environment.get('PATH', os.defpath)}"
    os.chdir(CHECKOUT)
    print(f"+ pulumi {verb} --stack {stack}", flush=True)
    os.execve(cli, [str(cli), verb, "--stack", stack], environment)
