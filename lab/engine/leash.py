"""Run a Python program that ends, with everything it started, when the process that started it ends.

    leash.py FD [-m] PROGRAM ARGUMENTS...

FD is the reading end of a pipe whose other end only the starting process holds: however that process ends, the pipe closes.
The program must be the leader of a process group of its own (`start_new_session=True`), since the group is what gets killed.
"""

import os
import runpy
import signal
import sys
import threading
from pathlib import Path


def _hold(fd: int) -> None:
    while os.read(fd, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    fd, *rest = sys.argv[1:]
    as_module = rest[0] == "-m"
    sys.argv = rest[1:] if as_module else rest
    os.set_inheritable(int(fd), False)
    threading.Thread(target=_hold, args=(int(fd),), daemon=True).start()
    # The folder of this file holds modules named like other people's (`plan`, `engine`): the program must not see it.
    program = Path(sys.argv[0]).resolve()
    if as_module:
        sys.path[0] = str(Path.cwd())
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(program if program.is_dir() else program.parent)
        runpy.run_path(str(program), run_name="__main__")


main()
