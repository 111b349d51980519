"""Numbers for CloudWatch, as log lines that it reads metrics from. Where nothing ships logs to it, nothing is written: local logs stay readable.

A process writes one such line a minute at most, and one at its end; no permission beyond that for logs is needed.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from spotbatch.log import say

UNITS = {
    "Backlog": "Count",
    "CheckpointSeconds": "Seconds",
    "GivenBack": "Count",
    "ItemsDone": "Count",
    "LongestItemSeconds": "Seconds",
    "NoticeLeadSeconds": "Seconds",
    "Notices": "Count",
    "NoticesNotOurs": "Count",
    "NoticesWithoutDrain": "Count",
    "WasteSeconds": "Seconds",
}
"""Every metric there is."""

EVERY_SECONDS = 60.0
"""CloudWatch keeps a value a minute: more lines would only cost more."""

_MOST_VALUES = 100
"""CloudWatch takes no more values of one metric in a line, see above."""


def embedded(queue: str, values: Mapping[str, Any], now: float) -> dict[str, Any]:
    """The fields of one line: numbers, or lists of up to 100, by metric."""
    directive = {
        "Namespace": os.environ.get("SPOTBATCH_METRICS") or "spotbatch",
        "Dimensions": [["Queue"]],
        "Metrics": [{"Name": name, "Unit": UNITS[name]} for name in values],
    }
    return {"_aws": {"Timestamp": int(now * 1000), "CloudWatchMetrics": [directive]}, "Queue": queue.rsplit("/", 1)[-1], **values}


class Meter:
    """Gathers numbers of one process that works on `queue`; without one, for nobody."""

    def __init__(self, queue: str = "", clock: Callable[[], float] = time.time) -> None:
        self._queue, self._clock = queue, clock
        self._values: dict[str, Any] = {}
        self._written = clock()
        self._lock = threading.RLock()

    def count(self, name: str, number: float = 1) -> None:
        """Add to a sum."""
        if number:
            with self._lock:
                self._values[name] = self._values.get(name, 0) + number
        self.tick()

    def most(self, name: str, number: float) -> None:
        """Keep the largest."""
        if number:
            self._values[name] = max(self._values.get(name, 0), round(number, 3))

    def sample(self, name: str, number: float) -> None:
        """Keep the value, beside others."""
        with self._lock:
            values = self._values.setdefault(name, [])
            if len(values) < _MOST_VALUES:
                values.append(round(number, 3))
        self.tick()

    def tick(self) -> None:
        """Write what has come together, if the last line is a minute old."""
        if self._clock() - self._written >= EVERY_SECONDS:
            self.write()

    def write(self) -> None:
        """Write it now: one whole line, so that it reaches CloudWatch as it is."""
        with self._lock:
            gathered, self._values, self._written = self._values, {}, self._clock()
        if gathered and self._queue:
            say("measured", **embedded(self._queue, gathered, self._clock()))


_METER = Meter()


def start(queue: str) -> None:
    """Of this process, from here on; if its lines reach CloudWatch, as they do on machines of `SpotLaunchTemplate`."""
    global _METER
    _METER = Meter(queue if os.environ.get("SPOTBATCH_LOG_GROUP") else "")


def meter() -> Meter:
    return _METER
