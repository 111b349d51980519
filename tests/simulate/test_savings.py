import datetime
import json
import re
import signal
import time
from html.parser import HTMLParser

import pytest

from spotbatch.notice import Notice
from spotbatch.protocols import Identity
from spotbatch.tools.prices.price import Price
from spotbatch.tools.prices.price_tables import NoPrice, PriceTables
from spotbatch.tools.savings_after import AssumedMachine, account
from spotbatch.tools.savings_before import forecasts, net
from spotbatch.tools.savings_page import page
from spotbatch.tools.savings_picture import draw
from spotbatch.tools.savings_sayings import hours_between, sayings
from tests.spotbatch.clock import wait_until
from tests.spotbatch.machines import Machines
from tests.spotbatch.world import World

QUEUE = "https://sqs.us-east-1.amazonaws.com/000000000000/tasks"
TODAY = datetime.date(2026, 11, 24)


class OneDollar:
    """Everything costs a dollar on demand and a quarter of it as Spot, so that sums can be done in the head."""

    def on_demand(self, instance_type, region, wanted):
        return Price(1.0, "on-demand", instance_type, region, "2026-11-24", "test", TODAY)

    def spot(self, instance_type, region, wanted):
        return Price(0.25, "spot", instance_type, region, "2026-11-24", "test", TODAY)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.fixture
def local(tmp_path):
    machines = Machines(tmp_path)
    yield machines
    machines.close()


def machine(world, name, *, spot=True, instance_type="m5.xlarge", boot_seconds=36):
    launched = world.clock.now
    world.clock.passes(boot_seconds)
    world.machines.register(Identity(name, "boot 1", instance_type, "us-east-1a", spot, launched=launched), "agent 1")
    return world.machine(name)


def interrupted_run(world, *, first_lives=1800, second_spot=True):
    """An hour of work, 360 s done twice, on a machine that AWS took and one that it did not; boots of 36 s, and 72 s of waiting."""
    world.submit()
    owner = machine(world, "m1")
    claim = world.claimed(owner)
    world.clock.passes(1000)
    world.saved(claim, 5)
    world.clock.passes(first_lives - 1036)
    world.machines.mark(Notice("m1", "interruption", world.clock.now - 120, world.clock.now, "spot interruption: terminate"))
    world.sweep()
    owner = machine(world, "m2", spot=second_spot)
    world.clock.passes(72)
    claim = world.claimed(owner)
    world.clock.passes(2600)
    world.ledger.finish(world.saved(claim, 10))


def usd(found):
    return {line.name: round(line.usd, 6) for line in found.lines}


def test_the_lines_lead_from_gross_to_net(world):
    interrupted_run(world, first_lives=7200)
    found = account(world.ledger, "local:x", "run", OneDollar(), AssumedMachine())
    assert found.on_demand_usd == pytest.approx(1.0)
    assert usd(found) == {
        "gross saving": 0.75,
        "work done again": -round((7200 - 1036) / 3600 / 4, 6),
        "boots": -0.005,
        "waiting": -0.005,
        "double running": 0,
    }
    paid = (36 + 7200 - 36 + 36 + 72 + 2600) / 3600 * 0.25
    assert found.net_usd == pytest.approx(found.on_demand_usd - paid)


def test_a_machine_that_aws_takes_in_its_first_hour_costs_nothing(world):
    interrupted_run(world)
    found = account(world.ledger, "local:x", "run", OneDollar(), AssumedMachine())
    assert usd(found)["first hour not billed"] == 0.125
    assert found.net_usd == pytest.approx(1 - (36 + 72 + 2600) / 3600 * 0.25)
    assert found.to_json()["net_percent_all_billed"] == pytest.approx(100 * (found.net_usd - 0.125), abs=0.01)
    assert any("a drill" in remark for remark in found.remarks)


def test_a_machine_on_demand_is_a_line_of_its_own_and_costs_its_price(world):
    interrupted_run(world, first_lives=7200, second_spot=False)
    found = account(world.ledger, "local:x", "run", OneDollar(), AssumedMachine())
    assert usd(found)["on-demand machines"] == -round(2600 / 3600 * 0.75, 6)
    paid = 7200 / 3600 * 0.25 + (36 + 72 + 2600) / 3600
    assert found.net_usd == pytest.approx(1 - paid)


def test_storage_and_handler_are_lines_where_the_queue_is_one_of_aws(world):
    interrupted_run(world)
    found = account(world.ledger, QUEUE, "run", OneDollar(), AssumedMachine())
    lines = usd(found)
    assert -0.001 < lines["storage"] < 0 and -0.001 < lines["handler"] < 0
    by_service = {use.service: use for use in found.uses}
    assert by_service["lambda-request"].units == pytest.approx((found.window.end - found.window.begin) / 60 + 2)
    tasks = world.task()
    assert by_service["dynamodb-write"].units >= 3 * tasks.version
    assert sum(use.usd for use in found.uses) == pytest.approx(-sum(line.usd for line in found.lines if line.name in ("storage", "handler")))


def test_a_region_whose_services_have_no_price_is_said(world):
    world.submit()
    world.machines.register(Identity("m1", "boot 1", "m5.xlarge", "eu-west-1b"), "agent 1")
    claim = world.claimed(world.machine("m1"))
    world.clock.passes(10)
    world.ledger.finish(world.saved(claim, 10))
    found = account(world.ledger, QUEUE, "run", OneDollar(), AssumedMachine())
    assert not found.uses
    assert any("storage and handler are not in the sum" in remark and "eu-west-1" in remark for remark in found.remarks)
    assert any("1 machines do not say when they were launched" in remark for remark in found.remarks)


def test_a_run_that_goes_on_is_told_so_far(world):
    world.submit()
    world.claimed(machine(world, "m1"))
    world.clock.passes(36)
    found = account(world.ledger, "local:x", "run", OneDollar(), AssumedMachine())
    assert not found.ended and found.title == "run run so far"
    assert found.hours("useful") == pytest.approx(0.01)
    assert any("has not ended" in remark for remark in found.remarks)


def test_a_run_that_nobody_worked_on_saved_nothing(world):
    world.submit()
    found = account(world.ledger, "local:x", "run", OneDollar(), AssumedMachine())
    assert (found.net_usd, found.percent(1.0), found.prices) == (0, 0, [])


def test_every_price_that_is_missing_is_named_at_once(world):
    interrupted_run(world)
    world.machines.register(Identity("m1", "boot 9", "m5.odd", "us-east-1a"), "agent 1")
    world.machines.register(Identity("m2", "boot 9", "c5.odd", "us-east-1a"), "agent 1")
    with pytest.raises(NoPrice, match=r"(?s)'m5.odd'.*\n.*'c5.odd'"):
        account(world.ledger, "local:x", "run", PriceTables(), AssumedMachine())


def test_before_a_run_the_forecast_is_the_discount_less_the_overhead():
    t3, p3 = forecasts(["t3.xlarge", "p3.2xlarge"], "us-east-1", 0.05, None, TODAY)
    assert (t3.discount.fraction, round(t3.net, 4), p3.discount.fraction, round(p3.net, 4)) == (0.60, 0.58, 0.80, 0.79)
    assert [(one.date, round(one.fraction, 3)) for one in t3.earlier] == [("2021-02", 0.7), ("2021-H1", 0.7)]
    abroad, google = forecasts(["m5.xlarge"], "us-west-2", 0.05, None, TODAY) + forecasts(["n2-standard-4"], "us-central1", 0.05, None, TODAY)
    assert abroad.on_demand is None and 0 < abroad.discount.fraction < 1
    assert google.spot is not None and google.spot.date == "2026-08-03"


def test_live_prices_come_before_the_tables():
    (found,) = forecasts(["m5.xlarge"], "us-east-1", 0.1, OneDollar(), TODAY)
    assert (found.discount.fraction, found.net) == (0.75, pytest.approx(0.725))
    assert "test" in found.discount.source and len(found.earlier) == 3


def test_what_is_often_said_is_reckoned_anew():
    t3, p3, total, extra = sayings(0.05)
    assert p3.said == "p3.2xlarge costs $0.918 instead of $3.06 an hour"
    assert any(one.startswith("2021-H1") and "70 % us-east-1" in one for one in t3.found)
    assert any(one.startswith("2025-06") and "60 % us-east-1" in one and "64 % us-west-2" in one and "55 % eu-west-1" in one for one in t3.found)
    assert any("80 % us-east-1" in one and "85 % us-east-2" in one and "71 % us-west-2" in one and "56 % eu-west-1" in one for one in p3.found)
    assert "aws 2025-06, 14,962 pairs of region and type, 5 % overhead: 56 % save 60 to 80 %, 11 % more" in total.found
    assert "a checkpoint inside the notice: 5 % at one interruption in 2.2 machine hours, 15 % at one in 0.7" in extra.found


@pytest.mark.parametrize("overhead", [0.05, 0.15])
def test_the_hours_between_interruptions_give_back_the_overhead(overhead):
    for how, hours in hours_between(overhead).items():
        seconds = 3600 * hours
        told = {
            "a checkpoint inside the notice": 390 / seconds,
            "periodic checkpoints, no notice": (60 / seconds) ** 0.5 + 360 / seconds,
            "items of 15 minutes, no checkpoint": 810 / seconds,
        }
        assert told[how] == pytest.approx(overhead)
    assert net(0.6, 0) == pytest.approx(0.6) and net(0.7, 0.05) == pytest.approx(0.685)


def test_all_wrong_arguments_are_named_at_once(local):
    told = local.command(
        *("savings", "--types", "m5.xlagre,t3.xlarge", "--region", "us-east1", "--overhead", "5", "--plot", "no/folder.gif"), status=2
    ).splitlines()
    for part in (
        "--overhead: '5'",
        "ends with '.gif'",
        "'no' is no folder",
        "needs a RUN",
        "near are m5.xlarge",
        "t3.xlarge there, but in us-east-1",
    ):
        assert sum(part in line for line in told) == 1, part
    assert len(told) == 6
    told = local.command("savings", status=2)
    assert "--types: name" in told and "--region: name" in told
    told = local.command("savings", "r", "--types", "a,b", "--overhead", "5%", status=2)
    assert "with a RUN name one" in told and "a run's own overhead is measured" in told
    assert "run 'r' is not known here" in local.command("savings", "r", status=2)


def test_the_waste_of_a_real_run_is_that_of_the_jobs_own_log(local, tmp_path):
    """Four machines of which two are killed; each item takes 0.1 s, and a checkpoint is due every 2 s."""
    seconds = 0.1
    local.environment["JOB_SECONDS"] = str(seconds)
    local.submit(items=200, items_per_task=50)
    doomed = [local.start() for _ in range(2)]
    wait_until(lambda: local.status()["items"]["done"] >= 20, 40, "two checkpoints")
    time.sleep(1.0)
    for agent in doomed:
        agent.send_signal(signal.SIGKILL)
        agent.wait()
    assert local.ended(local.start("counted:Counted", "--until-empty", "--processes", "2")) == 0
    done = local.log.read_text().split()
    twice = len(done) - len(set(done))
    assert len(set(done)) == 200 and twice >= 2
    told = json.loads(
        local.command("savings", "run", "--types", "m5.xlarge", "--region", "us-east-1", "--json", "--html", str(tmp_path / "run.html"))
    )
    hours = {line["name"]: line.get("hours", 0.0) for line in told["lines"]}
    again = hours["work done again"] * 3600
    # At most: an item cut short by the kill, and a third of a lease until the next beat was missed, for each machine.
    assert twice * seconds * 0.9 <= again <= twice * seconds * 1.5 + 2 * (seconds + 2 / 3 + 0.3)
    # Two processes share a machine, so its useful time is at least half of what the items took.
    assert told["useful_hours"] * 3600 >= 200 * seconds / 2
    assert told["net_usd"] == pytest.approx(sum(line["usd"] for line in told["lines"]), abs=1e-5)
    assert told["net_percent"] < told["gross_percent"] == pytest.approx(66.0, abs=0.1)
    assert {price["date"] for price in told["prices"]} == {"2026-07-20", "2025-06"}
    assert any("no instance type in their records" in remark for remark in told["not_known"])
    assert f"{told['net_percent']:.1f} % saved, net of waste" in local.command("savings", "run", "--types", "m5.xlarge", "--region", "us-east-1")
    assert "say --types TYPE --region REGION" in local.command("savings", "run", status=2)


class Page(HTMLParser):
    """Open and closed tags, and everything that a browser would fetch."""

    VOID = ("meta", "br")

    def __init__(self, text):
        super().__init__()
        self.open, self.fetched, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.fetched += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_stands_alone_and_fits_any_screen(world):
    interrupted_run(world)
    found = account(world.ledger, QUEUE, "run", OneDollar(), AssumedMachine())
    text = page(found)
    read = Page(text)
    assert not read.open and not read.fetched
    assert not re.search(r"url\(|@import|https?://|<script", text)
    assert "prefers-color-scheme: dark" in text and 'name="viewport"' in text and "max-width: 36rem" in text
    for part in (f"{found.percent(found.net_usd):.1f} % saved", "work done again", "first hour not billed", "dynamodb-write", "2026-11-24"):
        assert part in read.text


def test_names_cannot_break_the_page(world):
    interrupted_run(world)
    found = account(world.ledger, QUEUE, "run", OneDollar(), AssumedMachine())
    found.remarks.append("<script>alert(1)</script>")
    assert "<script" not in page(found)


@pytest.mark.parametrize("ending", [".png", ".svg"])
def test_the_picture_is_written(world, tmp_path, ending):
    interrupted_run(world)
    path = tmp_path / f"run{ending}"
    draw(account(world.ledger, "local:x", "run", OneDollar(), AssumedMachine()), path)
    assert path.read_bytes().startswith(b"\x89PNG" if ending == ".png" else b"<?xml") and path.stat().st_size > 5000
