"""A Compute Engine machine as it sees itself."""

import time
from collections.abc import Callable, Iterator

from spotbatch.clouds.gcp_metadata import Metadata
from spotbatch.machine_itself import boot_id, power_off
from spotbatch.notice import PREEMPTED_SECONDS, Notice
from spotbatch.protocols import Identity

NOTICE_ATTRIBUTE = "instance/attributes/spotbatch-notice-seconds"
"""A machine cannot ask how long its preemption notice is (`preemption_notice_duration`): whoever declares it says it here too."""

_PREEMPTED = "instance/preempted"


class GcpHost:
    """This instance, by its metadata server. It drains within 30 s of a preemption, or within the notice that its metadata name."""

    def __init__(self, metadata: Metadata | None = None, clock: Callable[[], float] = time.time) -> None:
        self._metadata, self._clock = metadata or Metadata(), clock
        self._id = ""
        self._ahead: float | None = None
        self._since: float | None = None
        self._etag = ""

    def identity(self) -> Identity:
        """Raises OSError when the metadata server cannot be asked."""
        spot = self._metadata.read("instance/scheduling/preemptible") == "TRUE"
        zone, machine_type = (self._must_read(f"instance/{name}").rpartition("/")[2] for name in ("zone", "machine-type"))
        return Identity(self._machine(), boot_id(), machine_type, zone, spot, self._notice_seconds() if spot else 0.0)

    def notices(self) -> Iterator[Notice]:
        """The preemption, once it is announced, and the same one each time. Raises OSError when it cannot be asked."""
        return self._preemption(self._must_read(_PREEMPTED))

    def await_notices(self, seconds: float) -> Iterator[Notice]:
        """What stands there now at the first call, later what does after a change, or after so many seconds. Raises OSError."""
        etag, self._etag = self._etag, ""
        text, self._etag = self._metadata.wait(_PREEMPTED, etag, seconds if etag else 0)
        return self._preemption(text)

    def complete_hook(self) -> None:
        """A managed instance group waits for nobody."""

    def shut_down(self) -> None:
        """Power off; that stops the machine, and its group makes another. Raises OSError, CalledProcessError."""
        power_off()

    def _preemption(self, text: str) -> Iterator[Notice]:
        if text == "TRUE":
            self._since = self._since or self._clock()
            yield Notice(self._machine(), "interruption", self._since, self._since + self._notice_seconds(), "preempted")

    def _machine(self) -> str:
        self._id = self._id or self._must_read("instance/id")
        return self._id

    def _notice_seconds(self) -> float:
        if self._ahead is None:
            text = self._metadata.read(NOTICE_ATTRIBUTE) or str(PREEMPTED_SECONDS)
            if not text.isdecimal():
                raise OSError(f"metadata server {self._metadata.host}: {NOTICE_ATTRIBUTE} is {text!r}, allowed: whole seconds")
            # With none asked for (0) the machine still has the seconds that a shutdown takes.
            self._ahead = float(max(int(text), PREEMPTED_SECONDS))
        return self._ahead

    def _must_read(self, path: str) -> str:
        text = self._metadata.read(path)
        if not text:
            raise OSError(f"metadata server {self._metadata.host}: no {path}: is this a Compute Engine machine?")
        return text
