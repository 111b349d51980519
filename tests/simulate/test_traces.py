"""Recorded traces as pools, and files that are refused."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from spotbatch.tools.simulation.bad_trace import BadTrace
from spotbatch.tools.simulation.experiment import Experiment
from spotbatch.tools.simulation.trace_files import read, shipped
from spotbatch.tools.simulation.workloads import WORKLOADS


def written(folder: Path, text: str, name: str = "trace.csv") -> str:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return str(path)


def refused(folder: Path, text: str) -> list[str]:
    with pytest.raises(BadTrace) as bad:
        read([written(folder, text)])
    return bad.value.faults


def steps(pool) -> list[tuple[float, float, int]]:
    return list(zip(pool.start_s.tolist(), pool.end_s.tolist(), pool.capacity.tolist(), strict=True))


def test_a_probe_says_what_a_pool_gave_and_when(tmp_path):
    trace = read([written(tmp_path, "pool,start_s,end_s,capacity\naws/us-west-2a/t,0,600,1\naws/us-west-2a/t,600,900,0\n", "probe.csv.gz")])
    assert trace.name == "probe" and trace.kinds == ("availability",) and trace.span_s == 900
    assert steps(trace.pools[0]) == [(0, 600, 1), (600, 900, 0)]


def test_pools_of_a_probe_that_begin_apart_are_read_from_where_all_of_them_are_known(tmp_path):
    trace = read([written(tmp_path, "pool,start_s,end_s,capacity\naws/a/t,100,600,1\naws/b/t,200,900,2\n")])
    assert trace.span_s == 400
    assert [steps(pool) for pool in trace.pools] == [[(0, 400, 1)], [(0, 400, 2)]]


def test_a_logged_machine_ended_between_the_polls_that_saw_it_and_missed_it(tmp_path):
    rows = "aws/a/t,1000,1300,1400,preempted\naws/a/t,1500,1800,,censored\n"
    trace = read([written(tmp_path, "pool,launched_s,last_seen_s,found_gone_s,ended_by\n" + rows)])
    assert steps(trace.pools[0]) == [(0, 1000, 0), (1000, 1350, 1), (1350, 1500, 0), (1500, 1800, 1)]


def test_a_log_read_as_a_ring_ends_no_machine_that_lived_at_both_its_ends(tmp_path):
    rows = "aws/a/t,90,1795,,censored\naws/b/t,0,1800,,censored\n"
    trace = read([written(tmp_path, "pool,launched_s,last_seen_s,found_gone_s,ended_by\n" + rows)])
    assert [steps(pool) for pool in trace.pools] == [[(0, 1800, 1)], [(0, 1800, 1)]]
    (first, _) = trace.pools_for(1_000, 3_000, np.random.default_rng(0))
    assert first.falls_below(1, 1_000) >= 4_000


def test_each_place_of_a_group_is_a_pool_and_a_bulk_drop_takes_several(tmp_path):
    events = "0,add,a\n0,add,b\n60,remove,a\n60,remove,b\n120,add,c\n180,remove,c\n"
    trace = read([written(tmp_path, "time_s,event,instance\n" + events)])
    assert [steps(pool) for pool in trace.pools] == [[(0, 60, 1), (60, 120, 0), (120, 180, 1)], [(0, 60, 1), (60, 180, 0)]]


def test_a_machine_replaced_within_a_step_of_the_clock_still_ended(tmp_path):
    trace = read([written(tmp_path, "time_s,event,instance\n0,add,a\n60,remove,a\n60,add,b\n120,remove,b\n")])
    assert [steps(pool) for pool in trace.pools] == [[(0, 60, 1), (60, 61, 0), (61, 120, 1)]]
    assert trace.pools[0].falls_below(1, 30) == 60


def test_pools_with_few_recorded_lives_are_joined():
    names = {pool.name: len(pool.lifetimes_s) for pool in read(["gcp_preemptible_2019"]).pools if pool.lifetimes_s is not None}
    assert min(names.values()) >= 10 and names["gcp/other/other"] == 26 and names["gcp/us-central1-c/n1-highcpu-32"] == 223


def test_a_count_of_running_machines_keeps_its_sum(tmp_path):
    trace = read([written(tmp_path, "time_s,running\n0,5\n60,2\n120,4\n180,4\n")])
    for moment, running in ((30, 5), (90, 2), (150, 4)):
        assert sum(pool.capacity_at(moment) for pool in trace.pools) == running


def test_a_machine_that_its_user_stopped_lives_as_long_as_one_that_outlived_it(tmp_path):
    rows = "z,m,2019,100,preempted,idle\nz,m,2019,900,preempted,idle\nz,m,2019,500,user_stop,idle\n"
    trace = read([written(tmp_path, "zone,machine_type,launched,lifetime_s,ended_by,load\n" + rows)])
    assert trace.span_s is None and trace.pools[0].lifetimes_s is not None
    assert trace.pools[0].lifetimes_s.tolist() == [100, 900, 900]


def test_every_shipped_trace_is_read_and_has_its_licence_beside_it():
    found = shipped()
    assert len(found) == 5
    for name, path in found.items():
        assert read([name]).pools
        assert path.name.split(".")[0] in (path.parent / "SOURCES.md").read_text()
    assert len(list(next(iter(found.values())).parent.glob("LICENSE-*"))) == 3


def test_the_fleet_of_32_machines_and_the_989_lifetimes_are_all_there():
    fleet = read(["bamboo_ec2_p3_events"])
    assert max(sum(pool.capacity_at(moment) for pool in fleet.pools) for moment in range(0, 40_000, 300)) == 32
    lifetimes = read(["gcp_preemptible_2019"])
    assert sum(len(pool.lifetimes_s) for pool in lifetimes.pools if pool.lifetimes_s is not None) == 989


def test_files_side_by_side_are_read_as_long_as_the_shortest():
    both = read(["aws_gpu_2020-03-15_instances", "gcp_gpu_2020-03-04_instances"])
    assert len(both.pools) == 12 and both.span_s == 192528 and both.cloud == "aws+gcp"
    assert all(pool.end_s[-1] == 192528 for pool in both.pools)


def test_a_short_trace_goes_on_at_its_beginning(tmp_path):
    trace = read([written(tmp_path, "pool,start_s,end_s,capacity\naws/a/t,0,600,1\naws/a/t,600,900,0\n")])
    random = np.random.default_rng(1)
    assert max(trace.starts(10, 2000, random)) > 700
    (pool,) = trace.pools_for(800, 2000, random)
    assert [pool.capacity_at(moment) for moment in (0, 650, 950, 1550, 2799)] == [1, 0, 1, 0, 1]


def test_starts_are_the_same_for_the_same_seed_and_leave_room_for_the_run_where_there_is_any(tmp_path):
    trace = read([written(tmp_path, "pool,start_s,end_s,capacity\naws/a/t,0,10000,1\n")])
    starts = trace.starts(60, 1000, np.random.default_rng(7))
    assert starts == trace.starts(60, 1000, np.random.default_rng(7)) == sorted(starts)
    assert len(set(starts)) == 60 and max(starts) <= 9000


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("pool,start_s\na,0\n", ["line 1: header 'pool,start_s' is none of: pool,start_s,end_s,capacity;"]),
        ("", ["line 1: header '' is none of"]),
        ("pool,start_s,end_s,capacity\n", ["line 2: nothing"]),
        (
            "pool,start_s,end_s,capacity\n,0,x,1\na,0,600,-1\na,700,900,0.5\n",
            [
                "line 2: pool is ''",
                "line 2: end_s is 'x'",
                "line 3: capacity is '-1'",
                "line 4: start_s is '700'; allowed is 600",
                "capacity is '0.5'",
            ],
        ),
        ("pool,start_s,end_s,capacity\na,0,600\n", ["line 2: 4 values are wanted"]),
        ("pool,start_s,end_s,capacity\na,0,600,1,9\n", ["line 2: 4 values are wanted"]),
        ("pool,start_s,end_s,capacity\na,9,9,1\n", ["line 2: end_s is '9'; allowed is more than start_s"]),
        ("pool,start_s,end_s,capacity\na,nan,inf,1\n", ["start_s is 'nan'", "end_s is 'inf'"]),
        (
            "pool,launched_s,last_seen_s,found_gone_s,ended_by\na,5,3,2,preempted\na,1,9,9,censored\na,1,9,,gone\n",
            ["line 2: last_seen_s is '3'", "line 2: found_gone_s is '2'", "line 3: found_gone_s is '9'; allowed is nothing", "ended_by is 'gone'"],
        ),
        ("time_s,event,instance\n0,add,a\n5,add,a\n4,remove,b\n", ["line 3: instance is 'a'", "line 4: time_s is '4'", "line 4: instance is 'b'"]),
        ("time_s,event,instance\n0,add,a\n", ["line 2: time_s is '0'; allowed is more than 0 in the last row"]),
        (
            "time_s,running\n0,many\n9,1001\n",
            ["line 2: running is 'many'", "line 3: running is '1001'; allowed is a whole number of machines, 0 to 1,000"],
        ),
        (
            "zone,machine_type,launched,lifetime_s,ended_by,load\nz,m,x,0,preempted,idle\n",
            ["lifetime_s is '0'; allowed is a number of seconds, 1 or more"],
        ),
        ("time_s,running\n0,0\n9,0\n", ["line 3: running is '0'; allowed is more than 0 in one row at least"]),
        (
            "zone,machine_type,launched,lifetime_s,ended_by,load\nz,,x,-3,died,idle\n",
            ["machine_type is ''", "lifetime_s is '-3'", "ended_by is 'died'"],
        ),
    ],
)
def test_a_malformed_trace_is_refused_with_file_line_value_and_what_is_allowed(tmp_path, text, faults):
    told = refused(tmp_path, text)
    assert all(fault.startswith(str(tmp_path / "trace.csv")) for fault in told)
    for fault in faults:
        assert any(fault in line for line in told), told


def test_a_name_that_is_no_file_is_refused_together_with_the_other_faults(tmp_path):
    with pytest.raises(BadTrace, match="shipped traces aws_gpu_2020") as bad:
        read(["nowhere.csv", written(tmp_path, "time_s,running\n0,x\n")])
    assert len(bad.value.faults) == 2


def test_a_file_cut_in_the_middle_or_of_another_kind_is_refused(tmp_path):
    whole = gzip.compress(b"time_s,running\n0,5\n60,2\n" * 50)
    for data in (whole[:40], b"\xff\xfe\x00binary"):
        path = tmp_path / "broken.csv.gz"
        path.write_bytes(data)
        with pytest.raises(BadTrace, match="cannot be read as text or gzip"):
            read([str(path)])


def test_a_pool_given_twice_is_refused():
    with pytest.raises(BadTrace, match="more than one file"):
        read(["gcp_gpu_2020-03-04_instances", "gcp_gpu_2020-03-04_instances"])


def test_no_capacity_signal_tells_the_places_of_one_group_apart(tmp_path):
    group = read([written(tmp_path, "time_s,event,instance\n0,add,a\n0,add,b\n600,remove,a\n900,remove,b\n")])
    count = read([written(tmp_path, "time_s,running\n0,2\n600,1\n900,0\n", "count.csv")])
    probe = read([written(tmp_path, "pool,start_s,end_s,capacity\naws/us-west-2a/t,0,600,1\n", "probe.csv")])
    assert [pool.is_seat for trace in (group, count, probe) for pool in trace.pools] == [True, True, True, True, False]


def test_what_takes_longer_than_most_places_live_is_done_on_a_replayed_group():
    run = Experiment(read(["bamboo_ec2_p3_events"]), WORKLOADS["W3"](), starts=2).run(["ours"], processes=1)
    assert all(outcome.finished for outcome in run["ours"])
