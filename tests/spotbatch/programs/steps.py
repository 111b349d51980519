"""A program that knows nothing of spotbatch: `steps.py FOLDER STEPS [SECONDS]`. A random walk, whose state it saves by rename.

At SIGTERM it saves and ends with 143. Steps are logged to JOB_LOG.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

folder, steps, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 0.02
told: list[int] = []
signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
state = folder / "state.json"
walk = json.loads(state.read_text()) if state.exists() else {"step": 0, "at": 1}
log = os.open(os.environ["JOB_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
while walk["step"] < steps:
    walk = {"step": walk["step"] + 1, "at": (walk["at"] * 6364136223846793005 + 1442695040888963407) % 2**64}
    os.write(log, f"{walk['step']}\n".encode())
    time.sleep(seconds)
    if walk["step"] % int(os.environ.get("SAVE_STEPS", "100")) == 0 or told or walk["step"] == steps:
        new = folder / "state.json.new"
        new.write_text(json.dumps(walk))
        new.replace(state)
    if told:
        sys.exit(143)
