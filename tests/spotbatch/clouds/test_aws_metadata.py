import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from spotbatch.clouds import default_queue
from spotbatch.clouds.aws import AwsHost
from spotbatch.clouds.aws_metadata import Metadata
from spotbatch.notice import Notice
from spotbatch.protocols import Identity
from tests.spotbatch.clouds.metadata_stand_in import MACHINE, Service, metadata_service


@pytest.fixture
def service() -> Iterator[Service]:
    with metadata_service() as running:
        yield running


@pytest.fixture
def host(service: Service) -> AwsHost:
    return AwsHost(Metadata(service.endpoint), clock=lambda: 1_500_000_000.0)


def seen(host: AwsHost) -> list[Notice]:
    return list(host.notices())


def test_a_machine_knows_who_it_is(service: Service, host: AwsHost):
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SPOTBATCH_BOOT_ID", "boot-1")
        found = host.identity()
        assert found == Identity(MACHINE, "boot-1", "m5.xlarge", "us-east-1b", spot=True, notice_seconds=120)
        service.texts["dynamic/instance-identity/document"] = '{"instanceId": "i-1", "pendingTime": "2016-11-19T16:32:11Z"}'
        assert host.identity() == replace(found, launched=1_479_573_131.0)
        service.texts["dynamic/instance-identity/document"] = '{"pendingTime": "yesterday"}'
        assert host.identity() == found
        service.texts["instance-life-cycle"] = "on-demand"
        assert not host.identity().spot


def test_a_boot_is_known_by_the_kernels_own_id(host: AwsHost, tmp_path: Path):
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("SPOTBATCH_BOOT_ID", raising=False)
        environment.delenv("SPOTBATCH_ROOT", raising=False)
        assert len(host.identity().boot) == 36
        (folder := tmp_path / "proc/sys/kernel/random").mkdir(parents=True)
        (folder / "boot_id").write_text("of this machine\n")
        environment.setenv("SPOTBATCH_ROOT", str(tmp_path))
        assert host.identity().boot == "of this machine"


def test_a_healthy_machine_has_no_notice_and_asks_for_one_token_only(service: Service, host: AwsHost):
    for _ in range(50):
        assert seen(host) == []
    assert len(service.tokens) == 1
    # Maintenance comes days ahead: it is looked at once a minute.
    assert service.asked.count("events/maintenance/scheduled") == 1
    assert len(service.asked) <= 50 * 3 + 2


@pytest.mark.parametrize("action", ["terminate", "stop", "hibernate"])
def test_an_interruption_is_seen_with_its_own_deadline(service: Service, host: AwsHost, action: str):
    service.texts["spot/instance-action"] = f'{{"action": "{action}", "time": "2017-09-18T08:22:00Z"}}'
    [notice] = seen(host)
    assert notice == Notice(MACHINE, "interruption", 1_500_000_000.0, 1505722920.0, f"spot interruption: {action}")
    assert seen(host) == [notice]


def test_a_notice_that_is_taken_back_is_seen_no_more(service: Service, host: AwsHost):
    service.texts["spot/instance-action"] = '{"action": "terminate", "time": "2017-09-18T08:22:00Z"}'
    assert len(seen(host)) == 1
    del service.texts["spot/instance-action"]
    assert seen(host) == []


def test_the_groups_wish_to_end_a_machine_is_a_stop(service: Service, host: AwsHost):
    for state in ("InService", "Standby", "Detached", "Warmed:Stopped"):
        service.texts["autoscaling/target-lifecycle-state"] = state
        assert seen(host) == []
    service.texts["autoscaling/target-lifecycle-state"] = "Terminated"
    assert seen(host) == [Notice(MACHINE, "stop", 1_500_000_000.0, 1_500_000_120.0, "auto scaling: target state Terminated")]


def test_a_rebalance_recommendation_is_seen_beside_the_notice_that_may_come_with_it(service: Service, host: AwsHost):
    service.texts["events/recommendations/rebalance"] = '{"noticeTime": "2020-10-27T08:22:00Z"}'
    assert [notice.kind for notice in seen(host)] == ["rebalance"]
    service.texts["spot/instance-action"] = '{"action": "terminate", "time": "2020-10-27T08:24:00Z"}'
    assert [notice.kind for notice in seen(host)] == ["interruption", "rebalance"]


@pytest.mark.parametrize(("now", "expected"), [(1548060000.0, []), (1548061243.0 - 120, [1548061243.0]), (1548061243.0 + 9, [1548061243.0])])
def test_maintenance_is_acted_on_when_it_is_due(service: Service, now: float, expected: list[float]):
    event = '{"NotBefore": "21 Jan 2019 09:00:43 GMT", "Code": "system-reboot", "EventId": "e", "State": "%s", "NotAfter": "", "Description": ""}'
    service.texts["events/maintenance/scheduled"] = f"[{event % 'completed'}, {event % 'active'}, {event % 'canceled'}]"
    host = AwsHost(Metadata(service.endpoint), clock=lambda: now)
    assert [(notice.kind, notice.deadline) for notice in seen(host)] == [("interruption", due) for due in expected]


def test_an_expired_token_is_renewed_once_and_the_answer_still_comes(service: Service, host: AwsHost):
    seen(host)
    service.tokens.append("somebody else's")
    service.texts["spot/instance-action"] = '{"action": "terminate", "time": "2017-09-18T08:22:00Z"}'
    assert len(seen(host)) == 1
    assert len(service.tokens) == 3


def test_a_service_that_refuses_every_token_is_blindness_not_a_loop(service: Service, host: AwsHost):
    seen(host)
    before = len(service.tokens)
    service.refuse = lambda path: 401 if path != "token" else None
    with pytest.raises(OSError, match="401 for"):
        seen(host)
    assert len(service.tokens) == before + 1


@pytest.mark.parametrize("fault", ["hang", "garbage", 500, 503, 403])
@pytest.mark.parametrize("where", ["token", "spot/instance-action"])
def test_a_blind_machine_says_so_in_time_and_sees_again(service: Service, host: AwsHost, fault: int | str, where: str):
    service.refuse = lambda path: fault if path == where else None
    begun = time.monotonic()
    with pytest.raises(OSError, match=r"metadata service http://127\.0\.0\.1"):
        seen(host)
    assert time.monotonic() - begun < 6
    service.refuse = lambda path: None
    service.texts["spot/instance-action"] = '{"action": "terminate", "time": "2017-09-18T08:22:00Z"}'
    assert len(seen(host)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>captive portal</html>",
        "[]",
        "null",
        "{}",
        '{"action": "nap", "time": "2017-09-18T08:22:00Z"}',
        '{"action": "stop", "time": "soon"}',
    ],
)
def test_an_unreadable_notice_hides_no_other_and_is_no_silence(service: Service, host: AwsHost, text: str):
    service.texts |= {"spot/instance-action": text, "events/recommendations/rebalance": '{"noticeTime": "2020-10-27T08:22:00Z"}'}
    found: list[Notice] = []
    with pytest.raises(OSError, match="unreadable"):
        for notice in host.notices():
            found.append(notice)
    assert [notice.kind for notice in found] == ["rebalance"]


def test_one_path_that_fails_hides_no_other(service: Service, host: AwsHost):
    service.texts["events/recommendations/rebalance"] = '{"noticeTime": "2020-10-27T08:22:00Z"}'
    service.refuse = lambda path: 500 if path == "spot/instance-action" else None
    found: list[Notice] = []
    with pytest.raises(OSError, match="500 for spot/instance-action"):
        for notice in host.notices():
            found.append(notice)
    assert [notice.kind for notice in found] == ["rebalance"]


def test_a_machine_without_the_service_is_blind_at_once(service: Service):
    service.server.shutdown()
    service.server.server_close()
    with pytest.raises(OSError):
        seen(AwsHost(Metadata(service.endpoint)))


def test_a_proxy_is_never_asked(service: Service, host: AwsHost):
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("http_proxy", "http://127.0.0.1:9")
        assert seen(host) == []


def test_a_worker_finds_its_queue_in_the_environment_then_in_the_tags_then_in_the_folder(service: Service):
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("SPOTBATCH_QUEUE", raising=False)
        environment.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.endpoint)
        assert default_queue() == "local:.spotbatch"
        service.texts["tags/instance/spotbatch:queue"] = "https://sqs.us-east-1.amazonaws.com/123456789012/tasks"
        assert default_queue() == "https://sqs.us-east-1.amazonaws.com/123456789012/tasks"
        service.refuse = lambda path: 500
        with pytest.raises(OSError):
            default_queue()
        environment.setenv("SPOTBATCH_QUEUE", "local:elsewhere")
        assert default_queue() == "local:elsewhere"
        environment.delenv("SPOTBATCH_QUEUE")
        environment.delenv("AWS_EC2_METADATA_SERVICE_ENDPOINT")
        # Outside of EC2 nobody is asked.
        assert default_queue() == "local:.spotbatch"


def test_a_wrong_endpoint_is_named():
    with pytest.raises(ValueError, match=r"AWS_EC2_METADATA_SERVICE_ENDPOINT: '169.254.169.254' is not a URL"):
        Metadata("169.254.169.254")


def test_a_machine_powers_itself_off_with_what_its_user_may_do(host: AwsHost, tmp_path: Path):
    for name in ("shutdown", "sudo"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@" >{tmp_path}/said\n')
        (tmp_path / name).chmod(0o700)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        host.shut_down()
    expected = "shutdown -h now" if os.geteuid() == 0 else "sudo -n /usr/sbin/shutdown -h now"
    assert (tmp_path / "said").read_text().strip() == expected
