import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from spotbatch.clouds import connect
from spotbatch.notice import Notice
from spotbatch.tools.overview import overview
from spotbatch.tools.status import line, picture
from tests.spotbatch.clock import wait_until
from tests.spotbatch.machines import Machines

STATUS = [sys.executable, "-c", "from spotbatch.tools.cli import main; main()", "status"]


@pytest.fixture
def busy(world):
    """Two machines for 100 s: m1 did one task in 40 s and was interrupted in the next, m2 has held one for 10 s; a third never got any."""
    world.submit(items=30, items_per_task=10)
    first, second = world.machine("m1"), world.machine("m2")
    world.machine("m3")
    claim = world.claimed(first)
    world.clock.passes(40)
    world.ledger.finish(world.saved(claim, 10))
    claim = world.claimed(first, "000001")
    world.clock.passes(20)
    world.ledger.give_back(world.saved(claim, 4), "interrupted", "notice")
    world.clock.passes(30)
    world.claimed(second, "000002")
    world.clock.passes(10)
    for name, item in (("m1", 0.0), ("m2", 7.5), ("m3", 0.0)):
        known = world.machines.read(name)
        assert known is not None
        world.machines.beat(known, metadata_ok=True, item_seconds=item)
    world.clock.passes(5)
    return world


def shown(world, width=80, run=None) -> str:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(picture(overview(world.ledger, run), "all runs", run))
    return captured.get()


def test_tasks_items_and_attempts_are_counted(busy):
    seen = overview(busy.ledger, None)
    assert seen.tasks == {"queued": 1, "running": 1, "done": 1, "dead": 0}
    assert (seen.items_done, seen.items_total) == (14, 30)
    assert seen.taken_back == {"interrupted": 1, "lost": 0, "failed": 0}


def test_the_oldest_beat_item_and_save_say_where_to_look(busy):
    seen = overview(busy.ledger, "run")
    assert seen.oldest_beat and (seen.oldest_beat.seconds, seen.oldest_beat.machine) == (5, "m2")
    assert seen.oldest_item and (seen.oldest_item.seconds, seen.oldest_item.machine) == (7.5, "m2")
    assert seen.oldest_save and (seen.oldest_save.seconds, seen.oldest_save.task) == (15, "run/000002")


def test_a_task_whose_machine_has_no_record_counts_as_silent_since_its_claim(busy):
    known = busy.machines.read("m2")
    busy.store.remove(known.key, known.version)
    oldest = overview(busy.ledger, None).oldest_beat
    assert oldest and (oldest.seconds, oldest.machine) == (15, "m2")


def test_idle_is_the_time_since_registration_in_which_a_machine_held_no_task(busy):
    seen = overview(busy.ledger, None)
    # m1: 105 s less 40 and 20; m2: less 15; m3: all of it.
    assert (seen.machine_seconds, seen.idle_seconds) == (315, 45 + 90 + 105)


def test_a_machine_that_is_gone_counts_to_its_last_beat(busy):
    busy.clock.passes(60)
    busy.machines.beat(busy.machines.read("m3"), metadata_ok=True)
    busy.clock.passes(5)
    seen = overview(busy.ledger, None)
    # m1 and m2 to their beat at 100 s, m3 until now.
    assert (seen.machine_seconds, seen.idle_seconds) == (100 + 100 + 170, 40 + 90 + 170)


def test_a_run_counts_machines_between_its_submit_and_its_end_only(busy):
    busy.ledger.finish(busy.saved(busy.task("000002"), 10))
    busy.ledger.cancel("run", "000001")
    busy.clock.passes(1000)
    for name in ("m1", "m2", "m3"):
        busy.machines.beat(busy.machines.read(name), metadata_ok=True)
    seen = overview(busy.ledger, "run")
    assert seen.ended and seen.machine_seconds == 3 * 105


def test_a_machine_that_waited_before_the_submit_is_no_burden_of_the_run(world):
    world.machine("m1")
    world.clock.passes(500)
    world.submit()
    world.clock.passes(20)
    world.machines.beat(world.machines.read("m1"), metadata_ok=True)
    assert overview(world.ledger, "run").machine_seconds == 20


def test_two_tasks_at_once_on_one_machine_are_no_more_than_all_of_its_time(world):
    world.submit(items=20, items_per_task=10)
    owner = world.machine("m1")
    world.claimed(owner, "000000")
    world.claimed(replace(owner, process="another"), "000001")
    world.clock.passes(30)
    world.machines.beat(world.machines.read("m1"), metadata_ok=True)
    assert overview(world.ledger, None).idle_seconds == 0


def test_a_silent_or_ended_machine_is_not_alive_and_a_draining_one_is_told(busy):
    assert overview(busy.ledger, None).alive == 3
    busy.machines.drain(busy.machines.read("m1"), notice(busy, 60))
    assert (overview(busy.ledger, None).alive, overview(busy.ledger, None).draining) == (3, 1)
    busy.clock.passes(61)
    assert overview(busy.ledger, None).alive == 0


def notice(world, seconds):
    return Notice("m1", "interruption", world.clock.now, world.clock.now + seconds, "test")


def test_a_record_that_cannot_be_read_hides_no_other(busy):
    record = busy.store.read("task/run/000001")
    busy.store.swap({**record, "epoch": "many", "version": record["version"] + 1}, record["version"])
    seen = overview(busy.ledger, None)
    assert sum(seen.tasks.values()) == 2
    assert "epoch is 'many'" in seen.unreadable[0]
    assert "epoch is 'many'" in " ".join(shown(busy).split())


@pytest.mark.parametrize("width", [80, 120])
def test_the_picture_fits_the_terminal_and_has_everything(busy, width):
    text = shown(busy, width)
    assert max(map(len, text.splitlines())) <= width
    for part in (
        "14 of 30 items, 46 %",
        "1 queued, 1 running, 1 done, 0 dead",
        "1 interrupted, 0 lost, 0 failed",
        "3 alive",
        "8 s on m2",
        "4 min of 5 min of machine time (76 %)",
    ):
        assert part in text, text


def test_what_a_user_wrote_is_never_taken_for_markup(world):
    world.submit()
    for _ in range(3):
        world.ledger.fail(world.claimed(), "ValueError: no [red]such[/] file")
    assert "no [red]such[/] file" in shown(world)


def test_a_cut_history_makes_the_idle_time_an_upper_bound(busy):
    for _ in range(25):
        busy.ledger.give_back(busy.claimed(busy.machine("m1"), "000001"), "interrupted")
    assert "at most" in shown(busy)


def test_json_keeps_what_others_rely_on(busy):
    found = json.loads(json.dumps(overview(busy.ledger, None).to_json()))
    assert set(found["tasks"]) == {"queued", "running", "done", "dead"} and set(found["items"]) == {"total", "done"}
    assert found["machines"]["idle_hours"] == round(240 / 3600, 4)
    assert found["oldest"]["save"] == {"seconds": 15, "machine": "m2", "task": "run/000002"}


def test_nothing_at_all_is_no_error(world):
    assert line(overview(world.ledger, None)).startswith("0 of 0 items; tasks: 0 queued")
    assert "0 of 0 items" in shown(world)


@pytest.fixture
def machines(tmp_path):
    made = Machines(tmp_path)
    yield made
    made.close()


def test_a_watch_outside_a_terminal_prints_plain_lines_and_ends_with_the_run(machines):
    machines.submit(items=20, items_per_task=10)
    watch = subprocess.Popen([*STATUS, "run", "--watch"], env=machines.environment, stdout=subprocess.PIPE, text=True)
    assert machines.ended(machines.start("counted:Counted", "--until-empty")) == 0
    told = watch.communicate(timeout=60)[0].splitlines()
    assert watch.returncode == 0
    assert told[-1].startswith("20 of 20 items, 100 %; tasks: 0 queued, 0 running, 2 done, 0 dead")
    assert "\x1b" not in "".join(told)


def test_a_watch_over_a_task_that_cannot_be_read_says_so_and_fails(machines):
    machines.submit(items=2, items_per_task=2)
    store = connect(machines.queue).store
    task = store.read("task/run/000000")
    assert task is not None
    store.swap({**task, "checkpoints": "rot", "version": task["version"] + 1}, task["version"])
    watch = subprocess.run([*STATUS, "run", "--watch"], env=machines.environment, capture_output=True, text=True, timeout=60)
    assert (watch.returncode, "unreadable: ledger record task/run/000000" in watch.stdout) == (1, True), watch.stdout


def test_a_watch_in_a_terminal_ends_with_the_run_and_fails_when_a_task_is_dead(machines):
    machines.submit(items=20, items_per_task=10)
    terminal, inside = pty.openpty()
    watch = subprocess.Popen([*STATUS, "--watch"], env={**machines.environment, "TERM": "xterm"}, stdout=inside, stderr=inside)
    os.close(inside)
    said = b""
    while b"2 queued" not in said:
        said += os.read(terminal, 10_000)
    machines.command("cancel", "run")
    with contextlib.suppress(OSError):
        while more := os.read(terminal, 10_000):
            said += more
    assert watch.wait(timeout=30) == 1
    assert b"2 dead" in said and said.rstrip().endswith(b"\x1b[?25h")
    os.close(terminal)


def test_ctrl_c_ends_a_watch_without_a_traceback(machines):
    machines.submit(items=20, items_per_task=10)
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # A shell that runs the suite in the background has it ignore SIGINT, and children would inherit that.
    heard = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        watch = subprocess.Popen([*STATUS, "--watch", "--json"], env=machines.environment, **pipes)
    finally:
        signal.signal(signal.SIGINT, heard)
    assert watch.stdout is not None
    assert json.loads(watch.stdout.readline())["tasks"]["queued"] == 2
    watch.send_signal(signal.SIGINT)
    error = watch.communicate(timeout=30)[1]
    assert (watch.returncode, error) == (130, "spotbatch: the watch has ended, the run goes on\n")


def test_the_agent_tells_how_long_its_item_has_run(machines):
    machines.environment["JOB_SECONDS"] = "8"
    machines.submit(items=1, items_per_task=1)
    machines.start()
    wait_until(lambda: (item := machines.status()["oldest"]["item"]) and item["seconds"] >= 0.5, 30, "an item's age in the status")


def test_a_wrong_run_is_told_the_names_that_are_near(machines):
    assert "the queue has no run at all" in machines.command("status", "nightly", status=2)
    machines.submit(items=1, items_per_task=1, run="nightly-07")
    for command in ("status", "results", "cancel", "remove"):
        assert "run 'nightly-7' is not known here; did you mean nightly-07?" in machines.command(command, "nightly-7", status=2)
    assert "run 'x' is not known here; the queue has nightly-07" in machines.command("explain", "0", "--run", "x", status=2)
