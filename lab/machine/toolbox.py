"""The commands a fresh Amazon Linux 2023 machine has, as a folder of links and stand-ins: PATH holds nothing else."""

import shutil
from pathlib import Path

_FROM_HOST = [
    "[",
    "arch",
    "awk",
    "base32",
    "base64",
    "basename",
    "bash",
    "cat",
    "chmod",
    "cksum",
    "cmp",
    "comm",
    "cp",
    "curl",
    "cut",
    "date",
    "dd",
    "df",
    "diff",
    "dirname",
    "dmesg",
    "du",
    "echo",
    "egrep",
    "env",
    "expr",
    "false",
    "fgrep",
    "find",
    "flock",
    "fmt",
    "fold",
    "free",
    "gawk",
    "getconf",
    "getent",
    "grep",
    "groups",
    "gunzip",
    "gzip",
    "head",
    "hostname",
    "id",
    "ip",
    "join",
    "kill",
    "ln",
    "logger",
    "logname",
    "ls",
    "md5sum",
    "mkdir",
    "mkfifo",
    "mknod",
    "mktemp",
    "mount",
    "mountpoint",
    "mv",
    "nice",
    "nl",
    "nohup",
    "nproc",
    "numfmt",
    "od",
    "openssl",
    "paste",
    "pgrep",
    "pidof",
    "pkill",
    "pr",
    "printenv",
    "printf",
    "ps",
    "pwd",
    "readlink",
    "realpath",
    "renice",
    "rm",
    "rmdir",
    "sed",
    "seq",
    "setsid",
    "sh",
    "sha1sum",
    "sha256sum",
    "sha512sum",
    "shuf",
    "sleep",
    "sort",
    "split",
    "ss",
    "stat",
    "stdbuf",
    "stty",
    "sum",
    "sync",
    "sysctl",
    "tac",
    "tail",
    "tar",
    "tee",
    "test",
    "timeout",
    "touch",
    "tr",
    "true",
    "truncate",
    "tsort",
    "tty",
    "uname",
    "uniq",
    "unlink",
    "uptime",
    "wc",
    "which",
    "who",
    "whoami",
    "xargs",
    "xz",
    "yes",
    "zcat",
]

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
    for command in _FROM_HOST:
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
