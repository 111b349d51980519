import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from spotbatch.clouds.aws_service import SecretUnavailable, Shipper, opened, run


class Logs:
    """CloudWatch Logs as far as a shipper sees it; `refuse` many calls fail first."""

    def __init__(self, refuse: int = 0) -> None:
        self.events: list[dict[str, Any]] = []
        self.batches: list[int] = []
        self.streams: list[str] = []
        self.refuse = refuse

    def create_log_stream(self, logGroupName: str, logStreamName: str) -> None:
        self.streams.append(logStreamName)
        if len(self.streams) > 1:
            raise ClientError({"Error": {"Code": "ResourceAlreadyExistsException"}}, "CreateLogStream")

    def put_log_events(self, logGroupName: str, logStreamName: str, logEvents: list[dict[str, Any]]) -> None:
        if self.refuse:
            self.refuse -= 1
            raise ClientError({"Error": {"Code": "ServiceUnavailable"}}, "PutLogEvents")
        self.batches.append(len(logEvents))
        self.events += logEvents

    @property
    def lines(self) -> list[str]:
        return [event["message"] for event in self.events]


def soon(holds, seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return holds()


def test_lines_leave_by_themselves_within_a_period():
    logs = Logs()
    shipper = Shipper(logs, "group", "i-1", period=0.05)
    shipper.add("hello")
    assert soon(lambda: logs.lines == ["hello"])
    shipper.close()
    assert logs.streams == ["i-1"]


def test_the_last_line_leaves_before_the_shipper_closes():
    logs = Logs()
    shipper = Shipper(logs, "group", "i-1", period=60)
    shipper.add("given back")
    shipper.close()
    assert logs.lines == ["given back"]


def test_while_the_service_refuses_lines_are_kept_in_order_and_the_work_goes_on():
    logs = Logs(refuse=3)
    shipper = Shipper(logs, "group", "i-1", period=0.05)
    for number in range(5):
        shipper.add(str(number))
        time.sleep(0.03)
    assert soon(lambda: len(logs.lines) == 5)
    shipper.close()
    assert logs.lines == ["0", "1", "2", "3", "4"]


def test_a_stream_that_is_there_already_is_used():
    logs = Logs()
    logs.streams = ["i-1"]
    shipper = Shipper(logs, "group", "i-1", period=60)
    shipper.add("again")
    shipper.close()
    assert logs.lines == ["again"]


def test_batches_stay_within_what_the_service_takes():
    logs = Logs()
    shipper = Shipper(logs, "group", "i-1", period=60)
    for _ in range(12_000):
        shipper.add("x")
    for _ in range(10):
        shipper.add("é" * 200_000)
    shipper.close()
    assert sum(logs.batches) == 12_010
    assert max(logs.batches) <= 10_000
    assert max(len(line.encode()) for line in logs.lines) <= 250_000


def test_a_flood_that_cannot_be_sent_keeps_the_newest_lines_and_says_how_many_were_lost():
    logs = Logs(refuse=10**9)
    shipper = Shipper(logs, "group", "i-1", period=60)
    for number in range(50_003):
        shipper.add(str(number))
    logs.refuse = 0
    shipper.close()
    assert logs.lines[0] == "spotbatch: 3 lines before this one were lost: they could not be sent"
    assert (logs.lines[1], logs.lines[-1]) == ("3", "50002")


class Secrets:
    """Secrets Manager and Parameter Store with one entry each."""

    def __init__(self, service: str, region: str) -> None:
        self.region = region

    def get_secret_value(self, SecretId: str) -> dict[str, str]:
        if SecretId.endswith("denied"):
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no secretsmanager:GetSecretValue"}}, "GetSecretValue")
        return {} if SecretId.endswith("binary") else {"SecretString": f"{self.region} secret"}

    def get_parameter(self, Name: str, WithDecryption: bool) -> dict[str, Any]:
        assert WithDecryption
        return {"Parameter": {"Value": f"{self.region} parameter"}}


def test_secrets_are_read_where_their_arn_says():
    references = {"A": "arn:aws:secretsmanager:eu-west-1:1:secret:a", "B": "arn:aws:ssm:us-east-1:1:parameter/b"}
    assert opened(references, Secrets) == {"A": "eu-west-1 secret", "B": "us-east-1 parameter"}


def test_a_secret_that_is_refused_names_variable_secret_and_permission():
    with pytest.raises(SecretUnavailable, match=r"^secret A: permission missing: allow secretsmanager:GetSecretValue on arn:\S+:denied "):
        opened({"A": "arn:aws:secretsmanager:eu-west-1:1:secret:denied"}, Secrets)


def test_a_secret_that_is_no_text_is_refused():
    with pytest.raises(SecretUnavailable, match="secret A: arn:aws:secretsmanager:eu-west-1:1:secret:binary holds bytes"):
        opened({"A": "arn:aws:secretsmanager:eu-west-1:1:secret:binary"}, Secrets)


def test_what_the_agent_prints_is_shipped_and_its_status_is_handed_on(capfd: pytest.CaptureFixture[str]):
    logs = Logs()
    shipper = Shipper(logs, "group", "i-1", period=60)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    program = "import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(7)"
    try:
        status = run([sys.executable, "-c", program], os.environ, shipper)
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
    shipper.close()
    assert status == 7
    assert logs.lines == ["out", "err"]
    assert capfd.readouterr().out == "out\nerr\n"


def test_a_request_to_stop_reaches_the_agent_which_ends_in_its_own_time(tmp_path: Path):
    agent = tmp_path / "agent.py"
    agent.write_text("""
import signal, sys, time

def stop(number, frame):
    print("given back")
    sys.exit(0)

signal.signal(signal.SIGTERM, stop)
print("ready")
time.sleep(60)
""")
    program = f"import sys; from spotbatch.clouds.aws_service import run; sys.exit(run([sys.executable, '-u', {str(agent)!r}], {{}}, None))"
    service = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert service.stdout is not None
    with service.stdout as lines:
        assert lines.readline() == "ready\n"
        service.send_signal(signal.SIGTERM)
        assert lines.readline() == "given back\n"
    assert service.wait(10) == 0
