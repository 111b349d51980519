"""How quickly an announced machine is out of its group: stack `prod-asg` by the real engine, events through the real rules, queue and Lambda."""

import os
import tempfile
import time
from pathlib import Path

from lab.cloud import LocalCloud
from lab.engine import Engine
from lab.places import CHECKOUT
from spotbatch import clouds
from spotbatch.ledger import Ledger
from spotbatch.registry import CLOCK_MARGIN
from tests.bench.figures import Figure, percentiles, within

MACHINES = 10
WAVES = 3
NOTICE_SECONDS = 20.0
GIVE_UP_SECONDS = 20.0


def figures() -> list[Figure]:
    marked: list[float] = []
    detached: list[float] = []
    with tempfile.TemporaryDirectory() as name, LocalCloud(Path(name) / "cloud") as cloud:
        os.environ.update(cloud.environment)
        stack = Engine(CHECKOUT, Path(name) / "engine", cloud.environment).stack("prod-asg")
        up = stack.up()
        if not up.ok:
            raise RuntimeError(up.text)
        outputs = stack.outputs()
        machines = Ledger(clouds.connect(outputs["queue_url"])).machines
        group, scaling = outputs["group_name"], cloud.client("autoscaling")
        scaling.update_auto_scaling_group(AutoScalingGroupName=group, DesiredCapacity=MACHINES)

        def members() -> set[str]:
            found = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"][0]["Instances"]
            return {one["InstanceId"] for one in found}

        def registered() -> list[str]:
            return [one for one in sorted(members()) if (record := machines.read(one)) is not None and record.state == "active"]

        for _ in range(WAVES):
            until = time.monotonic() + 90
            while len(there := registered()) < MACHINES and time.monotonic() < until:
                time.sleep(0.2)
            time.sleep(CLOCK_MARGIN + 2)
            for machine in there:
                began = time.time()
                cloud.market.interrupt(machine, notice_seconds=NOTICE_SECONDS, metadata=False)
                mark = None
                while time.time() < began + GIVE_UP_SECONDS:
                    if mark is None and (record := machines.read(machine)) is not None and record.state == "draining":
                        mark = time.time() - began
                        marked.append(mark)
                    if mark is not None and machine not in members():
                        detached.append(time.time() - began)
                        break
                    time.sleep(0.02)
        stack.destroy()
    return [
        Figure("event -> machine marked", percentiles(marked), "<= 1 s", within(marked, 1)),
        Figure("event -> machine marked and detached from its group", percentiles(detached), "<= 1 s", within(detached, 1)),
    ]
