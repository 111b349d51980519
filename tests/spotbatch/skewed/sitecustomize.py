"""Python runs this at its start where PYTHONPATH names the folder: the machine's clock is SKEW_SECONDS ahead, its monotonic clock is not."""

import os
import time

_ahead = float(os.environ.get("SKEW_SECONDS", "0"))
_time, _time_ns = time.time, time.time_ns
time.time = lambda: _time() + _ahead
time.time_ns = lambda: _time_ns() + int(_ahead * 1e9)
