"""`torn.py FOLDER SECONDS`: writes big.bin a little at a time, without a pause of a second, and then waits; a notice ends it in the middle."""

import sys
import time
from pathlib import Path

folder, seconds = Path(sys.argv[1]), float(sys.argv[2])
(folder / "whole.txt").write_text("whole")
with (folder / "big.bin").open("wb", buffering=0) as file:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        file.write(b"x" * 1000)
        time.sleep(0.1)
    file.write(b"the end")
time.sleep(60)
