"""What systemd runs on a machine: `python -m spotbatch.clouds.aws_service MODULE:CLASS ...` opens the secrets, runs the agent, ships its lines.

One process of ours instead of the CloudWatch agent: nothing to install at boot, every line leaves within a second (the CloudWatch agent
waits five), and the last one is waited for. It reads a pipe, so it also has what a dying interpreter prints.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from spotbatch.clouds.aws_client import client as aws_client
from spotbatch.clouds.aws_client import code_of, trouble

PERIOD = 1.0
"""Seconds between shipments: far below the notice."""

_BATCH_EVENTS, _BATCH_BYTES, _EVENT_OVERHEAD, _LINE_BYTES = 10_000, 1_000_000, 26, 250_000
"""Just below https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html"""

_KEPT_LINES = 50_000


class SecretUnavailable(Exception):
    """A secret could not be read; the text names the variable, the secret, and the permission if one is missing."""


class Shipper:
    """Sends lines to one log stream in the background. Logs never stop the work: while they cannot be sent, the newest 50,000 are kept."""

    def __init__(self, client: Any, group: str, stream: str, period: float = PERIOD) -> None:
        self._client, self._group, self._stream, self._period = client, group, stream, period
        self._lines: list[tuple[int, str]] = []
        self._lost = 0
        self._made = self._complained = False
        self._lock, self._closing = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="shipper", daemon=True)
        self._thread.start()

    def add(self, line: str) -> None:
        """Take a line; it leaves within a period."""
        cut = line.encode()[:_LINE_BYTES].decode(errors="ignore")
        with self._lock:
            self._lines.append((int(time.time() * 1000), cut or " "))
            if len(self._lines) > _KEPT_LINES:
                del self._lines[0]
                self._lost += 1

    def close(self, seconds: float = 20.0) -> None:
        """Send what is left, for at most `seconds`."""
        self._closing.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self._closing.wait(self._period):
            self._send()
        self._send()

    def _send(self) -> None:
        while batch := self._take_batch():
            try:
                if not self._made:
                    self._make_stream()
                events = [{"timestamp": at, "message": text} for at, text in batch]
                self._client.put_log_events(logGroupName=self._group, logStreamName=self._stream, logEvents=events)
            except (BotoCoreError, ClientError) as fault:
                if not self._complained:
                    print(f"spotbatch: lines cannot be sent to {self._group}, and are kept for now: {fault}", file=sys.stderr, flush=True)
                self._complained = True
                with self._lock:
                    self._lines[:0] = batch
                return
            self._complained = False

    def _take_batch(self) -> list[tuple[int, str]]:
        batch: list[tuple[int, str]] = []
        size = 0
        with self._lock:
            if self._lost:
                self._lines.insert(0, (self._lines[0][0], f"spotbatch: {self._lost} lines before this one were lost: they could not be sent"))
                self._lost = 0
            for at, text in self._lines[:_BATCH_EVENTS]:
                size += len(text.encode()) + _EVENT_OVERHEAD
                if size > _BATCH_BYTES:
                    break
                batch.append((at, text))
            del self._lines[: len(batch)]
        return batch

    def _make_stream(self) -> None:
        try:
            self._client.create_log_stream(logGroupName=self._group, logStreamName=self._stream)
        except ClientError as fault:
            if code_of(fault) != "ResourceAlreadyExistsException":
                raise
        self._made = True


def opened(references: Mapping[str, str], client: Callable[[str, str], Any] = aws_client) -> dict[str, str]:
    """The values of secrets by environment variable; `references` maps variables to ARNs. Raises SecretUnavailable."""
    values: dict[str, str] = {}
    for variable, arn in references.items():
        service, region = arn.split(":")[2:4]
        action = "ssm:GetParameter" if service == "ssm" else "secretsmanager:GetSecretValue"
        try:
            if service == "ssm":
                values[variable] = client("ssm", region).get_parameter(Name=arn, WithDecryption=True)["Parameter"]["Value"]
            else:
                values[variable] = client("secretsmanager", region).get_secret_value(SecretId=arn)["SecretString"]
        except (BotoCoreError, ClientError) as fault:
            raise SecretUnavailable(f"secret {variable}: {trouble(fault, action, arn)}") from None
        except KeyError:
            raise SecretUnavailable(f"secret {variable}: {arn} holds bytes, and only text can become an environment variable") from None
    return values


def run(command: Sequence[str], environment: Mapping[str, str], shipper: Shipper | None) -> int:
    """Run the agent, pass on the signals that ask it to end, copy its lines to standard output and to the shipper; its exit status."""
    child = subprocess.Popen(command, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, frame: child.send_signal(received))
    assert child.stdout is not None
    with child.stdout as lines:
        for line in lines:
            _tell(line.rstrip("\n"), shipper)
    status = child.wait()
    return status if status >= 0 else 128 - status


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the agent; 1 where a secret cannot be had."""
    group, stream = os.environ.get("SPOTBATCH_LOG_GROUP"), os.environ.get("SPOTBATCH_LOG_STREAM")
    shipper = Shipper(aws_client("logs", os.environ["AWS_DEFAULT_REGION"]), group, stream) if group and stream else None
    try:
        secrets = opened(json.loads(os.environ.get("SPOTBATCH_SECRETS") or "{}"))
        command = [sys.executable, "-u", "-m", "spotbatch.agent", *(sys.argv[1:] if arguments is None else arguments)]
        return run(command, {**os.environ, **secrets}, shipper)
    except SecretUnavailable as fault:
        _tell(f"spotbatch: {fault}", shipper)
        return 1
    finally:
        if shipper:
            shipper.close()


def _tell(line: str, shipper: Shipper | None) -> None:
    print(line, flush=True)
    if shipper:
        shipper.add(line)


if __name__ == "__main__":
    sys.exit(main())
