"""One JSON object a line, with the glossary's words for what happened."""

import datetime
import json
import logging
import sys
import time
from typing import Any, TextIO

LOGGER = logging.getLogger("spotbatch")


class JsonLines(logging.Formatter):
    """`{"at": ISO time, "t": seconds since 1970, "level", "event", ...}` and whatever the caller named."""

    def __init__(self, **always: Any) -> None:
        super().__init__()
        self._always = always

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line = {"at": moment.isoformat(timespec="milliseconds"), "t": round(record.created, 3), "level": record.levelname.lower()}
        line |= {"event": record.getMessage(), **self._always, **getattr(record, "fields", {})}
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def start(stream: TextIO | None = None, **always: Any) -> None:
    """Send every line to the stream (default: standard output), with `always` on each."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonLines(**always))
    logging.Formatter.converter = time.gmtime
    LOGGER.handlers[:] = [handler]
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False


def say(event: str, level: int = logging.INFO, **fields: Any) -> None:
    LOGGER.log(level, event, extra={"fields": fields})
