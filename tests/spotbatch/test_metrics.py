import io
import json
import select

import pytest

from spotbatch import log, metrics
from spotbatch.clouds.aws_service import Shipper
from spotbatch.metrics import Meter
from tests.spotbatch.machines import Machines

QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/tasks"


@pytest.fixture
def said():
    stream = io.StringIO()
    log.start(stream)
    yield stream
    log.LOGGER.handlers.clear()


def measured(text: str) -> list[dict]:
    return [line for line in map(json.loads, text.splitlines()) if line["event"] == "measured"]


def test_a_line_is_what_the_embedded_metric_format_asks_for(said, world):
    meter = Meter(QUEUE, world.clock)
    meter.count("ItemsDone", 40)
    meter.count("ItemsDone", 2)
    meter.sample("CheckpointSeconds", 0.25)
    meter.sample("CheckpointSeconds", 1.0)
    meter.most("LongestItemSeconds", 3.0)
    meter.most("LongestItemSeconds", 2.0)
    meter.write()
    [line] = measured(said.getvalue())
    assert line["_aws"] == {
        "Timestamp": int(world.clock.now * 1000),
        "CloudWatchMetrics": [
            {
                "Namespace": "spotbatch",
                "Dimensions": [["Queue"]],
                "Metrics": [
                    {"Name": "ItemsDone", "Unit": "Count"},
                    {"Name": "CheckpointSeconds", "Unit": "Seconds"},
                    {"Name": "LongestItemSeconds", "Unit": "Seconds"},
                ],
            }
        ],
    }
    assert (line["Queue"], line["ItemsDone"], line["CheckpointSeconds"], line["LongestItemSeconds"]) == ("tasks", 42, [0.25, 1.0], 3.0)


def test_a_process_writes_one_line_a_minute_and_loses_no_count(said, world):
    meter = Meter(QUEUE, world.clock)
    for _ in range(600):
        meter.count("ItemsDone")
        meter.sample("CheckpointSeconds", 0.1)
        world.clock.passes(1)
    meter.write()
    lines = measured(said.getvalue())
    assert len(lines) <= 11
    assert sum(line["ItemsDone"] for line in lines) == 600
    assert max(len(line["CheckpointSeconds"]) for line in lines) <= 100


def test_a_worker_s_fullest_line_is_written_in_one_piece_whoever_shares_the_pipe(said, world):
    log.start(said, machine="i-0123456789abcdef0", process="0123456789ab")
    meter = Meter(QUEUE, world.clock)
    for _ in range(200):
        meter.sample("CheckpointSeconds", 100_000.123)
        for name in ("ItemsDone", "GivenBack", "WasteSeconds"):
            meter.count(name, 100_000)
    meter.most("LongestItemSeconds", 100_000.123)
    meter.write()
    assert len(measured(said.getvalue())[0]["CheckpointSeconds"]) == 100
    assert len(said.getvalue()) < select.PIPE_BUF


def test_nothing_is_written_where_no_log_reaches_cloudwatch(said, world, monkeypatch):
    monkeypatch.delenv("SPOTBATCH_LOG_GROUP", raising=False)
    metrics.start(QUEUE)
    metrics.meter().count("ItemsDone")
    metrics.meter().write()
    assert said.getvalue() == ""


class Logs:
    """CloudWatch Logs, as far as it keeps what it is sent."""

    def __init__(self) -> None:
        self.events: list[dict] = []

    def create_log_stream(self, **_: str) -> None:
        pass

    def put_log_events(self, **call) -> None:
        self.events += call["logEvents"]


def test_a_line_reaches_the_log_group_as_nothing_but_its_json(said, world):
    meter = Meter(QUEUE, world.clock)
    meter.count("GivenBack")
    meter.write()
    logs = Logs()
    shipper = Shipper(logs, "group", "stream", period=0.01)
    shipper.add(said.getvalue().rstrip("\n"))
    shipper.close()
    [event] = logs.events
    assert json.loads(event["message"])["GivenBack"] == 1
    assert event["message"].startswith("{") and event["message"].endswith("}")


@pytest.fixture
def machines(tmp_path):
    made = Machines(tmp_path)
    yield made
    made.close()


def test_workers_measure_items_and_checkpoints_on_a_machine_that_ships_its_logs(machines):
    machines.environment["SPOTBATCH_LOG_GROUP"] = "group"
    machines.submit(items=40, items_per_task=20)
    assert machines.ended(machines.start("counted:Counted", "--until-empty", "--processes", "2")) == 0
    lines = [event for event in machines.events() if event["event"] == "measured"]
    assert sum(line.get("ItemsDone", 0) for line in lines) == 40
    assert all(line["Queue"] == "queue" and line["machine"] for line in lines)
    assert len([value for line in lines for value in line["CheckpointSeconds"]]) == 2
    assert max(line["LongestItemSeconds"] for line in lines) >= 0.01


def test_what_a_failure_threw_away_is_measured(machines):
    machines.environment |= {"SPOTBATCH_LOG_GROUP": "group", "JOB_SECONDS": "0.15"}
    machines.submit(items=18, items_per_task=18)
    machines.ended(machines.start("throwing:Throwing", "--until-empty"))
    assert sum(event.get("WasteSeconds", 0) for event in machines.events()) >= 3


def test_a_laptop_has_no_such_lines(machines):
    machines.environment.pop("SPOTBATCH_LOG_GROUP", None)
    machines.submit(items=4, items_per_task=2)
    assert machines.ended(machines.start("counted:Counted", "--until-empty")) == 0
    assert not [event for event in machines.events() if event["event"] == "measured"]
