"""What a user sees of `spotbatch simulate`."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spotbatch.tools.cli import app

CONTRACT = {
    "policy",
    "makespan_overhead_pct",
    "paid_overhead_pct",
    "saving_pct",
    "items_lost",
    "items_twice",
    "deadline_misses",
    "unfinished",
    "ci95",
}


def simulate(*arguments: str):
    return CliRunner().invoke(app, ["simulate", *arguments])


def test_it_works_right_after_installation_and_names_bounds_baselines_and_labels():
    told = simulate("--starts", "3", "--policy", "ours,P0,P3,P5,L4,L5,L8")
    assert told.exit_code == 0, (told.output, told.exception)
    lines = told.stdout.splitlines()
    rows = [line.split()[0] for line in lines[4 : lines.index(next(line for line in lines if line.startswith("Where the time")))] if line.strip()]
    assert rows[1:] == ["P0", "P3", "L4", "L5", "ours", "P5", "L8"]
    for said in (
        "3 starts on aws_gpu_2020-03-15_instances",
        "In production: worker + handler",
        "March 2020",
        "Savings hold for this ratio",
        "no run is left out",
    ):
        assert said in " ".join(told.stdout.split())


def test_json_has_what_was_promised_and_on_demand_saves_nothing():
    told = simulate("--starts", "3", "--policy", "P0,L5,ours", "--json", "--seed", "4", "--price-ratio", "0.4")
    found = json.loads(told.stdout)
    assert set(found) == {"trace", "workload", "settings", "policies"}
    assert found["trace"] == "aws_gpu_2020-03-15_instances" and found["workload"] == "W1" and found["settings"]["seed"] == 4
    rows = {row["policy"]: row for row in found["policies"]}
    assert list(rows) == ["P0", "L5", "ours"] and all(set(row) >= CONTRACT for row in rows.values())
    assert rows["P0"]["saving_pct"] == rows["P0"]["makespan_overhead_pct"] == 0
    assert 55 < rows["ours"]["saving_pct"] < 61 and rows["ours"]["items_lost"] == 0
    assert rows["ours"]["ci95"]["against"] == "L5"
    assert json.loads(simulate("--starts", "3", "--policy", "P0,L5,ours", "--json", "--seed", "4", "--price-ratio", "0.4").stdout) == found


def test_a_row_does_not_change_with_the_other_rows_asked_for():
    alone, together = (json.loads(simulate("--starts", "3", "--policy", names, "--json").stdout)["policies"][-1] for names in ("L8", "C0,P3,L8"))
    assert alone == together


def test_a_deadline_is_compared_with_uniform_progress_and_a_burst_runs_on_the_recorded_group():
    late = json.loads(simulate("--starts", "2", "--policy", "P3,P5", "--workload", "W4", "--json").stdout)
    assert late["settings"]["baseline"] == "P3" and all(row["deadline_misses"] == 0 for row in late["policies"])
    burst = json.loads(simulate("--starts", "2", "--policy", "L5", "--workload", "W5", "--json").stdout)
    assert burst["trace"] == "bamboo_ec2_p3_events" and burst["settings"]["machines"] == 8


def test_own_job_own_prices_and_several_traces(tmp_path):
    (tmp_path / "render.yaml").write_text("items: 40\nseconds_per_item: 600\nmachines: 2\n")
    pools = [f"aws/us-east-1{zone}/{kind}" for zone in "bc" for kind in ("p2.8xlarge", "p2.xlarge", "p3.16xlarge", "p3.2xlarge")]
    (tmp_path / "prices.csv").write_text("pool,price_ratio\n" + "".join(f"{pool},0.25\n" for pool in pools))
    told = simulate(
        "--starts", "2", "--policy", "L2", "--workload", str(tmp_path / "render.yaml"), "--prices", str(tmp_path / "prices.csv"), "--json"
    )
    found = json.loads(told.stdout)
    assert found["settings"]["items"] == 40 and 73 < found["policies"][0]["saving_pct"] <= 75
    assert "prices.csv" in found["settings"]["prices"]
    both = simulate("--trace", "gcp_gpu_2020-03-04_instances", "aws_gpu_2020-03-15_instances", "--starts", "2", "--policy", "L5", "--json")
    assert len(json.loads(both.stdout)["settings"]["pools"]) == 12
    assert json.loads(both.stdout)["settings"]["notice_s"] == 30


def test_the_first_hour_rule_and_the_notice_change_what_they_should():
    rows = [
        json.loads(simulate("--starts", "3", "--policy", "L5", "--workload", "W5", "--json", *more).stdout)["policies"][0]
        for more in ((), ("--first-hour-free",), ("--notice", "0"))
    ]
    assert rows[1]["saving_pct"] > rows[0]["saving_pct"] and rows[1]["makespan_overhead_pct"] == rows[0]["makespan_overhead_pct"]
    assert rows[2]["items_twice"] > rows[0]["items_twice"]


def test_the_picture_is_drawn(tmp_path):
    for ending, begin in ((".png", b"\x89PNG"), (".svg", b"<?xml")):
        told = simulate("--starts", "2", "--policy", "ours,P0,L5,L8,restart", "--plot", str(tmp_path / f"out{ending}"), "--workload", "W5")
        assert told.exit_code == 0, (told.output, told.exception)
        assert (tmp_path / f"out{ending}").read_bytes().startswith(begin)


def test_wrong_arguments_are_told_all_at_once_with_value_and_what_is_allowed(tmp_path):
    (tmp_path / "bad.csv").write_text("time_s,running\n0,many\n9,-1\n")
    told = simulate(
        *("--trace", str(tmp_path / "bad.csv"), "--workload", "W9", "--policy", "ours,best", "--price-ratio", "cheap", "--starts", "1"),
        *("--seed", "-1", "--notice", "60", "--plot", str(Path("nowhere") / "out.png")),
    )
    assert told.exit_code == 2
    lines = told.stderr.splitlines()
    assert len(lines) == 9 and all(line.startswith("spotbatch: error: ") for line in lines)
    for said in (
        "line 2: running is 'many'; allowed is a whole number",
        "line 3: running is '-1'",
        "--workload: 'W9' is neither a YAML file nor one of W1,",
        "--policy: 'best' is not known; allowed are ours,",
        "--price-ratio: 'cheap' is refused; allowed is a number from 0.001 to 10",
        "--starts: '1' is refused; allowed is a whole number from 2 to 10,000",
        "--seed: '-1'",
        "--notice: '60' is refused; allowed are 120, 30 and 0 seconds",
        "--plot: ",
    ):
        assert any(said in line for line in lines), (said, lines)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--trace", "gcp_preemptible_2019", "--first-hour-free"), "--first-hour-free: the trace has pools of gcp; allowed for pools of aws only"),
        (("--from-run", "elsewhere"), "neither local:FOLDER nor the URL of an SQS queue"),
        (("--prices", "nowhere.csv"), "--prices: 'nowhere.csv' cannot be read"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments, said):
    told = simulate(*arguments)
    assert told.exit_code == 2 and said in told.stderr


def test_prices_are_refused_by_line_and_pools_without_a_price_are_named(tmp_path):
    path = tmp_path / "prices.csv"
    path.write_text("pool,price_ratio\naws/us-east-1b/p2.8xlarge,free\n")
    told = simulate("--prices", str(path))
    assert told.exit_code == 2
    assert "line 2: price ratio 'free' of aws/us-east-1b/p2.8xlarge; allowed is a number above 0" in told.stderr
    assert "no price for pool aws/us-east-1c/p3.2xlarge" in told.stderr
    path.write_text("pool,usd\n")
    assert "is neither 'pool,price_ratio' nor has all of cloud,region" in simulate("--prices", str(path)).stderr


def test_a_dated_price_table_gives_each_pool_its_newest_price(tmp_path):
    rows = [
        f"aws,us-east-1,{kind},1.0,{price},,{date}"
        for kind in ("p2.8xlarge", "p2.xlarge", "p3.16xlarge", "p3.2xlarge")
        for price, date in (("0.2", "2025-06"), ("0.9", "2021-02"))
    ]
    (tmp_path / "table.csv").write_text("cloud,region,instance_type,on_demand_usd_h,spot_usd_h,savings_pct,date\n" + "\n".join(rows) + "\n")
    found = json.loads(simulate("--starts", "2", "--policy", "L8", "--prices", str(tmp_path / "table.csv"), "--json").stdout)
    assert 79 < found["policies"][0]["saving_pct"] <= 80
