"""Run a command in a network of its own, which has loopback and nothing else: `python -m lab.karpenter.own_network COMMAND...`."""

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1


def command_in_own_network(command: list[str]) -> list[str]:
    """The command that runs it there. Needs root, or a kernel that lets users make namespaces: see `missing_network`."""
    return [*_unshare(), sys.executable, "-m", "lab.karpenter.own_network", *command]


def missing_network() -> str:
    """Why there can be no network of its own here, or nothing."""
    if not shutil.which("unshare"):
        return "no program `unshare` (package util-linux)"
    tried = subprocess.run([*_unshare(), "true"], capture_output=True, text=True, check=False)
    return f"{' '.join(_unshare())} failed: {tried.stderr.strip()}" if tried.returncode else ""


def _unshare() -> list[str]:
    return ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH22x", b"lo", 0)
        flags = struct.unpack("16sH22x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags | _IFF_UP))


if __name__ == "__main__":
    _raise_loopback()
    os.execvp(sys.argv[1], sys.argv[1:])
