import calendar
import json
import os
import time
from pathlib import Path

import pytest

from lab.cloud import LocalCloud, MarketMachine
from tests.lab.cloud.fleets import eventually, fleet_config, listen, machine, make_template, members, request_fleet

WARNING = "EC2 Spot Instance Interruption Warning"

WATCHER = """#!/bin/bash
# Writes what a machine sees, as a watcher of ours would: token first, then the notice every 100 ms, for as long as it lives.
imds=$AWS_EC2_METADATA_SERVICE_ENDPOINT/latest
token=$(curl -sf -X PUT $imds/api/token -H 'X-aws-ec2-metadata-token-ttl-seconds: 300')
me=$(curl -sf -H "X-aws-ec2-metadata-token: $token" $imds/meta-data/instance-id)
log={folder}/$me
echo "without token: $(curl -s -o /dev/null -w '%{{http_code}}' $imds/meta-data/instance-id)" >>$log
# A child that leaves its parent and its session, as daemons do, and forgets its environment.
(setsid {forget} bash -c 'while :; do date +%s.%N >'$log'.orphan; sleep 0.05; done' &) &
wait
while :; do
  date "+%s.%N alive" >>$log
  curl -s -w ' %{{http_code}}\\n' -H "X-aws-ec2-metadata-token: $token" $imds/meta-data/spot/instance-action >>$log
  sleep 0.1
done
"""


def watchers(cloud: LocalCloud, folder: Path, pools: list[tuple[str, str]], target: int = 1, forget: str = "env -i") -> list[MarketMachine]:
    """A fleet whose machines write what they see into `folder`, one file each; returns when all of them write."""
    fleet = request_fleet(cloud, fleet_config(make_template(cloud, WATCHER.format(folder=folder, forget=forget)), pools, target))
    machines = members(cloud, fleet)
    assert eventually(lambda: all((folder / f"{one.id}.orphan").exists() and "alive" in (folder / one.id).read_text() for one in machines))
    return machines


def last_sign(folder: Path, one: MarketMachine) -> float:
    """The last moment at which anything of the machine ran."""
    lines = [float(line.split()[0]) for line in (folder / one.id).read_text().splitlines() if line.endswith("alive")]
    return max(lines[-1], (folder / f"{one.id}.orphan").stat().st_mtime)


def test_an_interruption_warns_by_event_and_metadata_then_takes_the_whole_machine_at_the_deadline(cloud: LocalCloud, tmp_path: Path):
    heard = listen(cloud, {"source": ["aws.ec2"]})
    (one,) = watchers(cloud, tmp_path, [("m5.xlarge", "a")])
    assert eventually(lambda: " 404\n" in (tmp_path / one.id).read_text()), "no notice is a 404"
    started = time.time()
    deadline = cloud.market.interrupt(one.id, notice_seconds=2)[one.id]
    assert started + 2 <= deadline <= started + 3.1
    assert eventually(lambda: machine(cloud, one.id).state == "terminated")
    ended = machine(cloud, one.id)
    assert ended.ended is not None and deadline <= ended.ended < deadline + 0.5
    assert ended.reason == "instance-terminated-no-capacity"
    assert eventually(lambda: machine(cloud, one.id).pid is None, seconds=2)

    lines = (tmp_path / one.id).read_text().splitlines()
    assert "without token: 401" in lines
    notices = {line for line in lines if line.endswith(" 200")}
    (notice,) = notices  # The time never moves.
    assert json.loads(notice.removesuffix(" 200")) == {"action": "terminate", "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(deadline))}

    time.sleep(0.8)
    assert deadline - 0.5 < last_sign(tmp_path, one) <= deadline + 0.5
    events = [event for event in heard() if event["detail"]["instance-id"] == one.id]
    assert [event["detail"].get("state", event["detail-type"]) for event in events] == ["pending", "running", WARNING, "shutting-down", "terminated"]
    warning = events[2]
    assert warning["detail"]["instance-action"] == "terminate"
    assert warning["resources"] == [f"arn:aws:ec2:us-east-1a:instance/{one.id}"]
    assert not ended.root.exists() and ended.console.exists()


def test_many_machines_are_taken_at_one_moment_and_replaced_from_other_pools(cloud: LocalCloud, tmp_path: Path):
    cloud.market.set_depth("c5.xlarge", "us-east-1a", 50)
    cloud.market.set_depth("c5.xlarge", "us-east-1b", 10)
    machines = watchers(cloud, tmp_path, [("c5.xlarge", "a"), ("c5.xlarge", "b")], target=6)
    assert {one.zone for one in machines} == {"us-east-1a"}
    deadlines = cloud.market.interrupt([one.id for one in machines], notice_seconds=2)
    assert set(deadlines) == {one.id for one in machines} and len(set(deadlines.values())) == 1
    assert eventually(lambda: all(machine(cloud, one.id).state == "terminated" for one in machines))
    time.sleep(1)
    assert max(last_sign(tmp_path, one) for one in machines) < min(deadlines.values()) + 1
    assert eventually(lambda: len(members(cloud, machines[0].owner)) == 6)
    assert {one.zone for one in members(cloud, machines[0].owner)} == {"us-east-1b"}


@pytest.mark.parametrize(("event", "metadata"), [(False, True), (True, False), (False, False)])
def test_a_notice_can_get_lost_on_either_way(cloud: LocalCloud, tmp_path: Path, event: bool, metadata: bool):
    heard = listen(cloud, {"detail-type": [WARNING]})
    (one,) = watchers(cloud, tmp_path, [("m5a.xlarge", "a"), ("m5a.xlarge", "b"), ("m5a.xlarge", "c")])
    cloud.market.interrupt(one.id, notice_seconds=1, event=event, metadata=metadata)
    assert eventually(lambda: machine(cloud, one.id).state == "terminated")
    assert bool(heard()) is event
    assert (" 200" in (tmp_path / one.id).read_text()) is metadata


def test_an_event_can_come_after_the_machines_end_and_carries_its_own_time(cloud: LocalCloud, tmp_path: Path):
    heard = listen(cloud, {"source": ["aws.ec2"], "detail": {"instance-action": ["terminate"]}})
    (one,) = watchers(cloud, tmp_path, [("m5dn.xlarge", "a")])
    warned = time.time()
    cloud.market.interrupt(one.id, notice_seconds=1, event_delay_seconds=3)
    assert eventually(lambda: machine(cloud, one.id).state == "terminated")
    assert not heard()
    (event,) = eventually(heard)
    assert abs(calendar.timegm(time.strptime(event["time"], "%Y-%m-%dT%H:%M:%SZ")) - warned) <= 1


def test_hibernation_gives_no_two_minutes(cloud: LocalCloud, tmp_path: Path):
    (one,) = watchers(cloud, tmp_path, [("m5d.xlarge", "a")])
    deadline = cloud.market.interrupt(one.id, notice_seconds=120, action="hibernate")[one.id]
    assert deadline <= time.time()
    assert eventually(lambda: machine(cloud, one.id).state == "terminated", seconds=2)


def test_a_second_interruption_does_not_move_the_deadline(cloud: LocalCloud, tmp_path: Path):
    (one,) = watchers(cloud, tmp_path, [("m5n.xlarge", "a")])
    first = cloud.market.interrupt(one.id, notice_seconds=3)
    assert cloud.market.interrupt(one.id, notice_seconds=60) == first


def test_a_machine_can_vanish_without_any_word(cloud: LocalCloud, tmp_path: Path):
    heard = listen(cloud, {"source": ["aws.ec2"], "detail": {"state": ["shutting-down", "terminated"]}})
    (one,) = watchers(cloud, tmp_path, [("r5a.xlarge", "a")])
    assert one.pid is not None
    cloud.market.kill(one.id, event=False)
    gone = time.time()
    assert eventually(lambda: not Path(f"/proc/{one.pid}").exists(), seconds=2)
    time.sleep(0.5)
    assert last_sign(tmp_path, one) <= gone
    assert [event for event in heard() if event["detail"]["instance-id"] == one.id] == []


def test_a_machine_that_powers_itself_off_is_terminated_and_replaced(cloud: LocalCloud):
    fleet = request_fleet(cloud, fleet_config(make_template(cloud, "#!/bin/bash\nsleep 0.5\nshutdown -h now\n"), [("c5a.large", "a")]))
    (one,) = members(cloud, fleet)
    assert eventually(lambda: machine(cloud, one.id).state == "terminated")
    assert eventually(lambda: any(other.id != one.id for other in members(cloud, fleet)))
    assert "Power down" in one.console.read_text()


def test_a_machine_whose_first_process_is_killed_leaves_nothing_behind(cloud: LocalCloud, tmp_path: Path):
    (one,) = watchers(cloud, tmp_path, [("c5d.xlarge", "a")], forget="")
    assert one.pid is not None
    os.kill(one.pid, 9)
    assert eventually(lambda: machine(cloud, one.id).state == "terminated")
    time.sleep(0.3)
    before = last_sign(tmp_path, one)
    time.sleep(0.3)
    assert last_sign(tmp_path, one) == before


def test_spot_requests_tell_why_a_machine_went(cloud: LocalCloud, tmp_path: Path):
    (one,) = watchers(cloud, tmp_path, [("m6i.xlarge", "a")])
    ec2 = cloud.client("ec2")

    def code() -> str:
        found = ec2.describe_spot_instance_requests(Filters=[{"Name": "instance-id", "Values": [one.id]}])["SpotInstanceRequests"]
        return found[0]["Status"]["Code"]

    assert code() == "fulfilled"
    cloud.market.interrupt(one.id, notice_seconds=1)
    assert code() == "marked-for-termination"
    assert eventually(lambda: code() == "instance-terminated-no-capacity")


def test_a_machine_the_market_does_not_know_is_named(cloud: LocalCloud):
    with pytest.raises(ValueError, match="'i-nobody' is none of the market's"):
        cloud.market.interrupt("i-nobody")


def test_events_of_aws_itself_can_be_published_and_putevents_still_refuses_them(cloud: LocalCloud):
    heard = listen(cloud, {"source": ["aws.health"]})
    cloud.market.publish({"source": "aws.health", "detail-type": "AWS Health Event", "detail": {"service": "EC2"}, "time": "2022-08-11T14:00:00Z"})
    (event,) = eventually(heard)
    assert (event["detail"], event["time"]) == ({"service": "EC2"}, "2022-08-11T14:00:00Z")
    (entry,) = cloud.client("events").put_events(Entries=[{"Source": "aws.health", "DetailType": "x", "Detail": "{}"}])["Entries"]
    assert entry["ErrorCode"] == "NotAuthorizedForSourceException"
