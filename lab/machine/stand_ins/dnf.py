"""`dnf` on a lab machine: offers what Amazon Linux 2023 calls its packages, and installs nothing but links to this host's own Python.

Does not prove: that a package still exists in the release that a real machine runs, nor what it contains.
"""

import os
import shutil
import sys
from pathlib import Path

PRESENT = frozenset(Path(__file__).parents[1].joinpath("al2023_packages.txt").read_text().split())
"""On the standard image already. https://docs.aws.amazon.com/linux/al2023/release-notes/all-packages.html"""

OFFERED = {"amazon-cloudwatch-agent", "docker", "gcc", "git", "jq", "make", "nodejs20", "htop"}
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
OFFERED |= {f"python{version}{part}" for version in PYTHONS for part in ("", "-pip", "-devel", "-libs", "-setuptools")}


def interpreter(version: str) -> str | None:
    """This host's own Python of that version, without any virtual environment around it."""
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        return os.path.realpath(sys.executable)
    return shutil.which(f"python{version}", path="/usr/local/bin:/usr/bin")


def install(packages: list[str]) -> int:
    missing = [name for name in packages if name not in PRESENT | OFFERED]
    versions = {name.removeprefix("python").partition("-")[0] for name in packages if name.startswith("python3.") and name in OFFERED}
    # A release that lacks this Python answers the same way: scripts must try another one.
    missing += [f"python{version}" for version in sorted(versions) if interpreter(version) is None]
    for name in missing:
        print(f"No match for argument: {name}")
    if missing:
        print(f"Error: Unable to find a match: {' '.join(missing)}", file=sys.stderr)
        return 1
    for version in versions:
        place(version, Path(interpreter(version) or ""), Path(os.environ["SPOTBATCH_ROOT"], "usr"))
    print("Complete!")
    return 0


def place(version: str, host: Path, usr: Path) -> None:
    """Put `pythonX.Y` on the machine: the host's interpreter with its standard library, and none of the host's packages."""
    command = usr / "bin" / f"python{version}"
    if command.exists():
        return
    home = usr / "lib" / f"python-{version}"
    (home / "bin").mkdir(parents=True)
    (home / "pyvenv.cfg").write_text(f"home = {host.parent}\ninclude-system-site-packages = false\n")
    (home / "bin" / command.name).symlink_to(host)
    command.write_text(f'#!/bin/sh\nexec {home}/bin/{command.name} "$@"\n')
    command.chmod(0o755)


def main(arguments: list[str]) -> int:
    words = [word for word in arguments if not word.startswith("-")]
    match words:
        case ["install" | "reinstall", *packages] if packages:
            return install(packages)
        case ["makecache" | "clean" | "update" | "upgrade" | "check-update", *_]:
            return 0
        case ["list" | "info", *packages]:
            return 0 if all(name in PRESENT | OFFERED for name in packages) else 1
    print(f"No such command: {' '.join(words) or '(none)'}. The lab's dnf knows install, list, info, update, makecache", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[2:]))
