"""What a machine's service ships to the log group, as CloudWatch would read it."""

import json
import subprocess
import sys

from lab.cloud import LocalCloud
from tests.spotbatch.machines import Machines


def test_a_worker_s_metrics_reach_the_log_group_each_as_one_event_of_nothing_but_json(cloud: LocalCloud, tmp_path):
    machines, logs = Machines(tmp_path), cloud.client("logs")
    logs.create_log_group(logGroupName="machine-logs")
    machines.submit(items=40, items_per_task=10)
    shipped = {"SPOTBATCH_LOG_GROUP": "machine-logs", "SPOTBATCH_LOG_STREAM": "i-1", "AWS_DEFAULT_REGION": "us-east-1"}
    command = [sys.executable, "-m", "spotbatch.clouds.aws_service", "counted:Counted", "--until-empty", "--processes", "3"]
    done = subprocess.run(command, env={**machines.environment, **shipped}, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    texts = [event["message"] for event in logs.filter_log_events(logGroupName="machine-logs")["events"]]
    measured = [json.loads(text) for text in texts if "CloudWatchMetrics" in text]
    assert sum(line.get("ItemsDone", 0) for line in measured) == 40
    for line in measured:
        [directive] = line["_aws"]["CloudWatchMetrics"]
        assert (directive["Namespace"], directive["Dimensions"], line["Queue"]) == ("spotbatch", [["Queue"]], "queue")
        for metric in directive["Metrics"]:
            values = line[metric["Name"]]
            assert all(isinstance(value, int | float) for value in (values if isinstance(values, list) else [values]))
    machines.close()
