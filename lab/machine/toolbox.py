"""The commands a fresh Amazon Linux 2023 machine has, as a folder of links and stand-ins: PATH holds nothing else."""

import shutil
from pathlib import Path

_COMMANDS = Path(__file__).with_name("al2023_commands.txt")
"""What an Amazon Linux 2023 machine has of itself and batch machines may use; links to this host's own."""

_STAND_INS = {
    "aws": ("aws",),
    "dnf": ("dnf", "yum"),
    "systemctl": ("systemctl",),
    "poweroff": ("poweroff", "shutdown", "halt"),
    "ownership": ("chown", "chgrp", "useradd", "usermod", "groupadd", "install", "runuser", "sudo"),
    "python3": ("python3", "python"),
}
"""File in stand_ins/ -> commands it stands for."""


def make_toolbox(folder: Path, python: Path) -> Path:
    """Fill `folder` (made anew) with the commands of a machine; stand-ins run on `python`, which must have boto3. Returns the folder.

    A command of the list that this host lacks is missing on the machines too.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for command in _COMMANDS.read_text().split():
        if (found := shutil.which(command)) is not None:
            (folder / command).symlink_to(found)
    scripts = Path(__file__).parent / "stand_ins"
    for script, commands in _STAND_INS.items():
        for command in commands:
            link = folder / command
            # -I: what the machine's own environment says about Python is for the job, not for the lab's tools.
            link.write_text(f'#!/bin/sh\nexec {python} -I {scripts / script}.py {command} "$@"\n')
            link.chmod(0o755)
    return folder
