"""The time of an AWS service, heard from the replies that a client gets anyway."""

import time
from collections.abc import Callable
from typing import Any

from spotbatch.date_clock import DateClock


class ServiceClock(DateClock):
    """Listens to a client's replies."""

    def __init__(self, client: Any, ask: Callable[[], object], monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__(ask, monotonic)
        client.meta.events.register("before-call", self._on_call)
        client.meta.events.register("after-call", self._on_reply)

    def _on_call(self, context: dict[str, Any], **_: Any) -> None:
        context["spotbatch-sent"] = self._monotonic()

    def _on_reply(self, http_response: Any, context: dict[str, Any], **_: Any) -> None:
        received = self._monotonic()
        self.heard(str(http_response.headers.get("Date", "")), context.get("spotbatch-sent", received), received)
