"""`spotbatch run` with real programs as real processes, killed as a cloud kills them."""

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spotbatch.clouds import connect
from spotbatch.notice import Notice
from spotbatch.registry import Registry
from tests.spotbatch.clock import wait_until
from tests.spotbatch.machines import alive
from tests.spotbatch.place import PROGRAMS, Place, members, steps_logged, tree_of, walked


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    yield made
    made.close()


def test_a_program_runs_to_its_end_once_and_the_same_again_does_nothing(place):
    assert place.ended(place.steps(40)) == 0
    assert json.loads(place.kept("state.json").read_text()) == walked(40)
    assert place.ended(place.steps(40)) == 0
    assert steps_logged(place) == list(range(1, 41))
    assert place.ended(place.steps(40, on="elsewhere")) == 0
    assert json.loads(place.kept("state.json", "elsewhere").read_text()) == walked(40)
    assert steps_logged(place) == list(range(1, 41))


@pytest.mark.parametrize("status", [1, 7, 255])
def test_the_status_of_the_command_is_the_status_of_the_run(place, status):
    assert place.ended(place.start("sh", "-c", f"exit {status}")) == status
    assert (place.task().state, place.task().attempts["failed"]) == ("queued", 1)


def test_a_command_that_a_signal_ends_is_told_as_a_shell_tells_it(place):
    assert place.ended(place.start("sh", "-c", "kill -SEGV $$")) == 128 + signal.SIGSEGV
    assert "SIGSEGV" in place.task().traceback


def test_after_three_failures_the_run_is_dead_until_somebody_retries(place):
    assert [place.ended(place.start("sh", "-c", "exit 3")) for _ in range(4)] == [3, 3, 3, 70]
    assert "spotbatch run: error: run run is dead: the command ended with status 3; spotbatch retry run --dead" in place.text()


def test_kill_9_of_any_process_at_random_moments_leads_to_the_same_end(place):
    chance = random.Random(7)
    place.environment["SAVE_STEPS"] = "60"
    for _ in range(5):
        run = place.steps(400)
        time.sleep(chance.uniform(0.8, 4.0))
        tree = tree_of(run.pid)
        os.kill(chance.choice(tree[:1] + tree), signal.SIGKILL)
        if run.poll() is None:
            time.sleep(0.2)
            run.kill()
        run.wait()
        wait_until(lambda tree=tree: not any(map(alive, tree)), 5, "the end of every process of the tree")
        # What the kill left in the folder is no checkpoint.
        place.kept("state.json").write_text("{half")
    while (status := place.ended(place.steps(400))) != 0:
        assert status in (137, 70)
        place.ledger.revive(place.task())
    assert json.loads(place.kept("state.json").read_text()) == walked(400)
    assert place.kept("state.json.new").exists() is False


def test_sigterm_is_passed_on_the_folder_saved_and_the_program_goes_on_elsewhere_without_a_step_twice(place):
    run = place.steps(300)
    wait_until(lambda: len(steps_logged(place)) > 30, what="some steps")
    run.terminate()
    assert place.ended(run, 10) == 143
    stopped = len(steps_logged(place))
    assert place.task().state == "queued" and place.task().attempts == {"interrupted": 1, "lost": 0, "failed": 0}
    assert place.ended(place.steps(300, on="elsewhere")) == 0
    assert stopped < 300 and steps_logged(place) == list(range(1, 301))
    assert json.loads(place.kept("state.json", "elsewhere").read_text()) == walked(300)


def test_a_notice_of_the_handler_ends_the_program_in_time_and_with_143(place):
    run = place.steps(2000)
    wait_until(lambda: len(steps_logged(place)) > 10, what="some steps")
    name = place.events("agent started")[0]["machine"]
    now = time.time()
    assert Registry(connect(place.queue).store).mark(Notice(name, "interruption", now, now + 60, "spot interruption: terminate"))
    assert place.ended(run, 10) == 143
    assert place.task().attempts["interrupted"] == 1
    assert place.events("checkpoint durable")[-1]["bytes"] > 0


def test_a_command_that_does_not_hear_is_ended_when_its_grace_is_over_and_nothing_of_it_stays(place):
    run = place.start("sh", "-c", "trap '' TERM; echo kept > kept/file; while :; do sleep 0.1; done", options=("--grace", "2"))
    wait_until(lambda: place.kept("file").exists(), what="the program at work")
    time.sleep(3)
    group = place.events("command started")[0]["group"]
    begun = time.monotonic()
    run.terminate()
    assert place.ended(run, 10) == 143
    assert 2 <= time.monotonic() - begun < 5
    assert not members(group)


def test_another_signal_is_passed_on_when_asked_for(place):
    command = ("sh", "-c", "trap 'echo told > kept/told; exit 5' USR1; while :; do sleep 0.05; done")
    run = place.start(*command, options=("--signal", "USR1"))
    wait_until(lambda: place.events("command started"), what="the program at work")
    time.sleep(0.5)
    run.terminate()
    assert place.ended(run, 10) == 143
    assert place.kept("told").exists()
    assert place.task().attempts == {"interrupted": 1, "lost": 0, "failed": 0}


def test_a_file_that_is_still_written_is_not_taken(place):
    run = place.start(sys.executable, str(PROGRAMS / "torn.py"), "kept", "60")
    wait_until(lambda: any(event["bytes"] == len("whole") for event in place.events("checkpoint durable")), 20, "a save")
    run.terminate()
    assert place.ended(run, 10) == 143
    assert place.kept("big.bin").stat().st_size > 1000
    last = place.ledger.progress(place.task().checkpoints[-1]).state
    assert last is not None and b"whole.txt" in last and b"big.bin" not in last


def test_with_a_ready_file_a_folder_is_saved_when_the_program_says_so_and_whole(place):
    program = "echo 1 > kept/a; sleep 3; echo 1 > kept/b; touch kept/READY; sleep 4; rm kept/READY; echo 2 > kept/a; sleep 30"
    run = place.start("sh", "-c", program, options=("--ready-file", "READY"))
    wait_until(lambda: len(place.events("checkpoint durable")) == 2, 20, "a save")
    wait_until(lambda: place.kept("a").read_text() == "2\n", 20, "a change after it")
    time.sleep(2.5)
    run.kill()
    run.wait()
    assert len(place.events("checkpoint durable")) == 2
    place.start("sh", "-c", program, options=("--ready-file", "READY"))
    wait_until(lambda: place.events("folder restored"), 20, "the second run")
    assert place.events("folder restored")[0]["files"] == 2


def chunks(place) -> list[Path]:
    return sorted((place.folder / "queue/bucket/runs/run/files").glob("*"))


def total(place) -> int:
    return sum(path.stat().st_size for path in chunks(place))


@pytest.mark.parametrize("files", [1, 100])
def test_the_second_save_of_a_folder_with_1_percent_changed_writes_5_percent_at_most(place, files):
    """Ten megabytes in one file, or in a hundred."""
    place.kept("").mkdir(parents=True)
    for number in range(files):
        place.kept(f"{number:03d}").write_bytes(random.Random(number).randbytes(10_000_000 // files))
    change = f"with open('kept/000', 'r+b') as file: file.seek({50_000 if files == 1 else 0}); file.write(b'y' * 100_000)"
    assert place.ended(place.start(sys.executable, "-c", change)) == 0
    first, second = (event["written"] for event in place.events("checkpoint durable"))
    assert first >= 10_000_000 and second <= 0.05 * first
    assert place.ended(place.start(sys.executable, "-c", change, on="elsewhere")) == 0
    here, elsewhere = (
        {path.name: hashlib.sha256(path.read_bytes()).digest() for path in place.kept("", on).iterdir()} for on in ("here", "elsewhere")
    )
    assert here == elsewhere and len(here) == files


def interrupted_twice(place) -> None:
    """Two saved versions: after about 20 steps, and after about 40."""
    for steps in (20, 40):
        run = place.steps(90)
        wait_until(lambda steps=steps: len(steps_logged(place)) >= steps, what="some steps")
        run.terminate()
        assert place.ended(run, 10) == 143


def version(place, index: int) -> dict:
    """The state that a saved version holds."""
    state = json.loads(place.ledger.progress(place.task().checkpoints[index]).state)
    (chunk,) = state["paths"]["state.json"][4]
    return json.loads((place.folder / "queue/bucket/runs/run/files" / chunk).read_bytes())


def test_a_damaged_or_missing_chunk_leads_back_to_the_version_before_and_is_told(place):
    interrupted_twice(place)
    before, newest = version(place, -2), version(place, -1)
    assert 0 < before["step"] < newest["step"]
    (chunk,) = json.loads(place.ledger.progress(place.task().checkpoints[-1]).state)["paths"]["state.json"][4]
    (place.folder / "queue/bucket/runs/run/files" / chunk).write_bytes(b"{}")
    done = len(steps_logged(place))
    assert place.ended(place.steps(90)) == 0
    told = place.events("checkpoint damaged")
    assert len(told) == 1 and chunk in told[0]["why"] and told[0]["next"] == "the version before"
    assert steps_logged(place)[done] == before["step"] + 1
    assert json.loads(place.kept("state.json").read_text()) == walked(90)


def test_a_damaged_manifest_leads_back_to_the_version_before_and_is_told(place):
    interrupted_twice(place)
    before = version(place, -2)
    record = place.ledger.store.read("task/run/000000")
    record["checkpoints"][-1]["inline"] = record["checkpoints"][-1]["inline"].replace("state", "stale")
    place.ledger.store.swap({**record, "version": record["version"] + 1}, record["version"])
    done = len(steps_logged(place))
    assert place.ended(place.steps(90)) == 0
    told = place.events("checkpoint damaged")
    assert len(told) == 1 and "checksum" in told[0]["why"]
    assert steps_logged(place)[done] == before["step"] + 1
    assert json.loads(place.kept("state.json").read_text()) == walked(90)


def test_where_no_version_can_be_read_the_run_fails_and_leaves_the_folder_alone(place):
    interrupted_twice(place)
    for chunk in chunks(place):
        chunk.unlink()
    state = place.kept("state.json").read_text()
    assert place.ended(place.steps(90)) == 70
    assert "none of 2 saved versions" in place.task().traceback
    assert place.kept("state.json").read_text() == state


def test_two_versions_are_kept_and_no_chunk_of_older_ones(place):
    place.environment["SAVE_STEPS"] = "70"
    run = place.steps(2000)
    wait_until(lambda: len(place.events("checkpoint durable")) >= 4, 40, "four saves")
    run.terminate()
    assert place.ended(run, 10) == 143
    assert len(place.task().checkpoints) == 2
    assert len(chunks(place)) == 2
    assert not list((place.folder / "queue/bucket/runs/run").glob("tasks/*/*"))


def test_a_second_copy_waits_and_takes_over_when_the_first_is_killed(place):
    first = place.steps(200)
    wait_until(lambda: len(steps_logged(place)) > 10, what="some steps")
    second = place.steps(200, on="elsewhere")
    wait_until(lambda: place.events("waiting"), what="the second to wait")
    first.kill()
    assert place.ended(second) == 0
    assert json.loads(place.kept("state.json", "elsewhere").read_text()) == walked(200)
    assert place.task().attempts == {"interrupted": 0, "lost": 1, "failed": 0}


def test_links_folders_modes_and_odd_names_come_back_as_they_were(place):
    script = (
        "mkdir -p kept/a/empty && cd kept && echo run > a/tool && chmod 750 a/tool && ln -s a/tool link && ln -s /nowhere dangling"
        " && touch -d 2020-02-02 a/old 'with space' && touch \"$(printf 'odd\\377name')\" && mkfifo pipe"
    )
    assert place.ended(place.start("sh", "-c", script)) == 0
    assert place.ended(place.start("sh", "-c", script, on="elsewhere")) == 0
    there = place.kept("", "elsewhere")
    assert (there / "a/empty").is_dir() and (there / "a/tool").stat().st_mode & 0o777 == 0o750
    assert (there / "link").readlink() == Path("a/tool") and (there / "dangling").readlink() == Path("/nowhere")
    assert (there / "a/old").stat().st_mtime == (place.kept("a/old")).stat().st_mtime < 1_600_000_000
    assert (
        (there / "with space").exists() and os.fsdecode(b"odd\xffname") in {path.name for path in there.iterdir()} and not (there / "pipe").exists()
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], ["--checkpoint-dir: is needed", "COMMAND: none was given"]),
        (["--checkpoint-dir", "."], ["--checkpoint-dir: '.' holds the home or the current folder", "COMMAND: none"]),
        (["--checkpoint-dir", "/", "--", "true"], ["--checkpoint-dir: '/'"]),
        (["--checkpoint-dir", "file", "--", "true"], ["--checkpoint-dir: 'file' is a file"]),
        (["--checkpoint-dir", "queue", "--queue", "local:queue/q", "--", "true"], ["holds the queue 'local:queue/q'"]),
        (["--checkpoint-dir", "kept", "--", "no-such-program"], ["COMMAND: 'no-such-program'"]),
        (["--checkpoint-dir", "kept", "true"], ["true: not an option of spotbatch run", "COMMAND: none"]),
        (
            [
                "--checkpoint-dir=kept",
                "--signal",
                "KILL",
                "--grace",
                "long",
                "--save-every",
                "0",
                "--lease=x",
                "--run",
                "a/b",
                "--ready-file",
                "../r",
            ],
            ["--signal: 'KILL'", "--grace: 'long'", "--save-every: '0'", "--lease: 'x'", "--run: 'a/b'", "--ready-file: '../r'", "COMMAND: none"],
        ),
        (["--checkpoint-dir", "kept", "--queue", "nowhere", "--", "true"], ["queue: 'nowhere'"]),
        (["--checkpoint-dir", "kept", "--grace"], ["--grace: needs a value"]),
    ],
    ids=lambda value: " ".join(value)[:40],
)
def test_a_wrong_command_line_ends_with_2_and_names_every_fault(tmp_path, arguments, told):
    (tmp_path / "file").touch()
    command = [sys.executable, "-c", "from spotbatch.tools.cli import main; main()", "run", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert all(part in done.stderr for part in told), done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_on_the_same_queue_leaves_the_programs_task_alone_and_does_not_wait_for_it(place):
    assert place.ended(place.start("sh", "-c", "exit 3")) == 3
    assert place.task().state == "queued"
    worker = [sys.executable, "-m", "spotbatch.agent", "counted:Counted", "--lease", "2", "--until-empty"]
    environment = {**place.environment, "PYTHONPATH": str(PROGRAMS.parent / "jobs")}
    assert subprocess.run(worker, env=environment, cwd=place.folder, capture_output=True, timeout=30).returncode == 0
    assert (place.task().state, place.task().epoch) == ("queued", 2)


def test_a_name_that_stands_for_another_command_is_refused(place):
    assert place.ended(place.start("true")) == 0
    assert place.ended(place.start("false")) == 2
    assert "--run: 'run' stands for" in place.text() and '["true"]' in place.text()


def test_kill_9_of_the_agent_leaves_nothing_of_what_the_command_started(place):
    run = place.start("sh", "-c", "sleep 60 & sh -c 'sleep 60; true'; true")
    wait_until(lambda: place.events("command started"), what="the command")
    group = place.events("command started")[0]["group"]
    wait_until(lambda: len(members(group)) >= 4, what="everything it starts")
    run.kill()
    run.wait()
    wait_until(lambda: not members(group), 5, "the end of the whole group")


def test_a_machine_that_slept_past_its_lease_ends_its_command_and_changes_nothing(place):
    first = place.steps(400)
    wait_until(lambda: len(place.events("checkpoint durable")) >= 2, 30, "a save with steps in it")
    frozen = tree_of(first.pid)
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    assert place.ended(place.steps(400, on="elsewhere")) == 0
    task, logged = place.task(), len(steps_logged(place))
    for pid in frozen:
        # One that woke may have ended the next by now.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    # Its folder is its own; the run is done, and that is what it ends with.
    assert place.ended(first, 30) == 0
    assert not any(map(alive, frozen)) and len(steps_logged(place)) - logged < 100
    assert place.task() == task and task.attempts == {"interrupted": 0, "lost": 1, "failed": 0}
    assert json.loads(place.kept("state.json", "elsewhere").read_text()) == walked(400)
