"""Commands about users and owners on a lab machine, where everything belongs to whoever runs the lab.

`useradd`, `usermod`, `groupadd`, `chown` and `chgrp` succeed and change nothing; `install`, `runuser` and `sudo` do the rest of their work.
Does not prove: that a service may read and write what it must as the user it runs as.
"""

import os
import shutil
import sys
from pathlib import Path


def plain(name: str) -> str:
    """The host's own program of that name, past the stand-ins."""
    return shutil.which(name, path="/usr/bin:/bin:/usr/local/bin") or name


def without(arguments: list[str], *options: str) -> list[str]:
    """The arguments without these options and their values: `-o USER`, `-oUSER`, `--owner=USER`."""
    kept: list[str] = []
    skip = False
    for word in arguments:
        if skip:
            skip = False
        elif word in options:
            skip = True
        elif not any(word.startswith(option if not option.startswith("--") else option + "=") for option in options):
            kept.append(word)
    return kept


def main(command: str, arguments: list[str]) -> int:
    if command == "install":
        os.execv(plain("install"), ["install", *without(arguments, "-o", "-g", "--owner", "--group")])
    if command in ("runuser", "sudo"):
        words = [word for word in without(arguments, "-u", "--user") if word not in ("-n", "-E", "-H")]
        words = words[1:] if words[:1] == ["--"] else words
        # /usr/sbin/shutdown must be the machine's, not the host's.
        os.execvp(Path(words[0]).name if words[0].startswith(("/usr/", "/bin/", "/sbin/")) else words[0], words)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
