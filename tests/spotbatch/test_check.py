"""Real jobs that do not fit, each in one way: `spotbatch check` says so, and what to change."""

import json
import subprocess
import sys

import pytest

from spotbatch.clouds.local import LocalPayloads
from spotbatch.tools.check import sampled, speed_of, trials_of
from spotbatch.tools.questions import Seen, Speed, ask, verdict
from spotbatch.tools.trial import State, Trial
from tests.spotbatch.machines import JOBS, Machines


@pytest.fixture
def machines(tmp_path):
    made = Machines(tmp_path)
    (tmp_path / "items.jsonl").write_text("".join(f"{number}\n" for number in range(6)))
    yield made
    made.close()


def check(machines, job: str, *options: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", "from spotbatch.tools.cli import main; main()", "check", job, "--items", "items.jsonl", *options],
        env=machines.environment,
        cwd=machines.folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("job", ["Fits", "FitsWithState", "Talks"])
def test_a_job_that_fits_is_told_yes(machines, job):
    status, out, error = check(machines, f"unfit:{job}", "--json")
    told = json.loads(out)
    assert (status, told["verdict"]) == (0, "yes"), error
    assert [one["question"] for one in told["questions"]] == ["starts", "ends", "results", "repeats", "resumes", "longest", "saves"]
    assert not any(one["change"] for one in told["questions"])


@pytest.mark.parametrize(
    ("job", "question", "answer", "seen"),
    [
        (
            "KeepsAnOpenSum",
            "resumes",
            "change",
            "begun in the middle in a new process, and it saves no state, it gives something else: line 4: 6, then 3",
        ),
        ("LosesItsState", "resumes", "change", "begun in the middle with its saved state it gives something else: line 4: 6, then 3"),
        ("CannotRestore", "resumes", "change", "restore_state cannot take what save_state gave: TypeError"),
        ("SavesText", "resumes", "change", "save_state returns a str"),
        ("SavesTooMuch", "saves", "change", "a notice of 2 s leaves 1 s for it after an item"),
        ("SavesFarTooMuch", "saves", "no", "longer than the notice of 1 s"),
        ("MakesAFileOnce", "repeats", "change", "done a second time 6 items fail: line 1: FileExistsError"),
        ("DependsOnTheProcess", "repeats", "change", "done a second time 6 items give something else"),
        ("TakesTooLong", "longest", "no", "an interruption throws such an item away, always"),
        ("TakesTheWholeNotice", "longest", "change", "of a notice of 1 s it may have 0 s"),
        ("Hangs", "ends", "change", "1 of 4 items fail: line 4: it hangs: 2 s were not enough"),
        ("Crashes", "ends", "change", "1 of 4 items fail: line 4: it ends its process by signal 6 (SIGABRT)"),
        ("IsKilledOverItsResult", "ends", "change", "1 of 4 items fail: line 4: it ends its process by signal 9 (SIGKILL)"),
        ("Exits", "ends", "no", "no item ends: line 1: it ends its process with status 3"),
        (
            "RaisesSometimes",
            "ends",
            "change",
            "3 of 6 items fail: line 2: ValueError: odd: 1; line 4: ValueError: odd: 3; line 6: ValueError: odd: 5",
        ),
        ("RaisesAlways", "ends", "no", "6 of 6 items fail: line 1: ValueError: no such file"),
        ("ReturnsASet", "results", "change", "JSON cannot hold line 1: a set: Object of type set is not JSON serializable"),
        ("ReturnsAFunction", "results", "change", "Object of type function is not JSON serializable"),
        ("ReturnsNotANumber", "results", "change", "a float: Out of range float values are not JSON compliant"),
        ("CannotSetUp", "starts", "no", "setup raises: RuntimeError: no model file"),
        ("CannotBegin", "starts", "no", "restore_state(None) raises: ValueError"),
    ],
)
def test_a_job_that_does_not_fit_is_told_why_and_what_to_change(tmp_path, monkeypatch, job, question, answer, seen):
    monkeypatch.setenv("PYTHONPATH", str(JOBS))
    monkeypatch.setenv("JOB_LOG", str(tmp_path / "job.log"))
    notice = 2 if job == "SavesTooMuch" else 1 if job in ("SavesFarTooMuch", "TakesTooLong", "TakesTheWholeNotice", "Hangs") else 120
    trials = trials_of(f"unfit:{job}", [str(number) for number in range(6)], 2 * notice)
    questions = ask(Seen(trials, [1, 2, 3, 4, 5, 6], 6, notice, Speed(0.001, 100e6)))
    [asked] = [one for one in questions if one.name == question]
    assert (asked.answer, verdict(questions)) == (answer, answer) and seen in asked.seen and asked.change, questions


def test_what_to_change_is_told_and_the_status_is_1(machines):
    status, out, error = check(machines, "unfit:KeepsAnOpenSum")
    assert status == 1 and "-> keep in save_state whatever an item needs of those before it" in " ".join(out.split()), error
    assert out.splitlines()[-1] == "change 1 of 7 points, then unfit:KeepsAnOpenSum fits"


def test_what_the_job_prints_is_kept_out_of_the_answer(machines):
    status, out, error = check(machines, "unfit:Talks")
    assert status == 0 and "hello" not in out and "hello from 5" in error
    assert out.splitlines()[-1] == "yes: unfit:Talks fits"


def test_nothing_is_left_in_the_queue(machines):
    assert check(machines, "unfit:Fits")[0] == 0
    assert not [path for path in (machines.folder / "queue/bucket").rglob("*") if path.is_file()]
    assert machines.status()["items"]["total"] == 0


@pytest.mark.parametrize(
    ("job", "options", "told"),
    [
        ("unfit", (), ["'unfit' is not MODULE:CLASS"]),
        ("absent:Fits", (), ["'absent:Fits'", "no module absent"]),
        ("unfit:Absent", (), ["Absent is absent", "Fits"]),
        ("unfit:loops", (), ["'unfit:loops'", "the loop in its own hands", "process_item"]),
        ("unfit:Fits", ("--notice", "soon"), ["--notice", "valid number"]),
        ("unfit:Fits", ("--sample", "0"), ["--sample", "equal to 1"]),
        ("unfit:Fits", ("--queue", "sqs"), ["'sqs'", "local:FOLDER"]),
    ],
)
def test_a_wrong_line_is_told_what_is_allowed(machines, job, options, told):
    status, _, error = check(machines, job, *options)
    assert status == 2 and all(part in error for part in told), error
    assert "Traceback" not in error


def test_broken_items_are_named_by_line(machines):
    (machines.folder / "items.jsonl").write_text("1\n{\n2\n")
    status, _, error = check(machines, "unfit:Fits")
    assert status == 2 and "items, line 2" in error


def test_the_sample_has_the_first_the_last_and_the_longest_lines():
    texts = ["1"] * 1000
    texts[417] = "1" * 50
    chosen = sampled(texts, 20)
    assert len(chosen) == len(set(chosen)) == 20 and chosen == sorted(chosen)
    assert {417, 999} <= set(chosen) and min(chosen) == 0
    assert sampled(texts, 1) == [417]
    assert sampled(texts[:3], 20) == [0, 1, 2]


def test_the_speed_is_that_of_the_store(tmp_path):
    speed = speed_of(LocalPayloads(tmp_path))
    assert speed.latency > 0 and speed.bytes_per_second > 1e6
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(("size", "answer"), [(100_000_000, "yes"), (300_000_000, "change"), (2_000_000_000, "no")])
def test_a_state_is_held_against_the_notice_at_the_store_s_speed(size, answer):
    trial = Trial(seconds={0: 0.1}, results={0: "1"}, last=State("", size, 0.5))
    seen = Seen([trial, trial], [1], 1, 120, Speed(0.05, 20_000_000))
    [saves] = [one for one in ask(seen) if one.name == "saves"]
    assert saves.answer == answer, saves.seen


def test_results_that_take_too_long_to_write_are_to_be_kept_elsewhere():
    trial = Trial(seconds={0: 0.1}, results={0: "1" * 5_000_000})
    questions = ask(Seen([trial, trial], [1], 1000, 120, Speed(0.05, 20_000_000)))
    [results] = [one for one in questions if one.name == "results"]
    assert (results.answer, verdict(questions)) == ("change", "change")
    assert "those of one checkpoint take 25.1 s to write" in results.seen
