import json

import pytest

from tests.spotbatch.machines import Machines


@pytest.fixture
def machines(tmp_path):
    made = Machines(tmp_path)
    yield made
    made.close()


def items(machines, text):
    path = machines.folder / "items.jsonl"
    path.write_text(text)
    return str(path)


def test_submit_prints_the_run_and_then_a_task_a_line_and_the_same_again_doubles_nothing(machines):
    arguments = (
        "submit",
        "--items",
        items(machines, "".join(f'{{"n": {n}}}\n' for n in range(25))),
        "--items-per-task",
        "10",
        "--job",
        "counted:Counted",
    )
    printed = machines.command(*arguments).splitlines()
    assert printed[1:] == ["000000", "000001", "000002"]
    assert machines.command(*arguments).splitlines() == printed
    status = machines.status()
    assert status["tasks"] == {"queued": 3, "running": 0, "done": 0, "dead": 0} and status["items"] == {"total": 25, "done": 0}
    assert json.loads(machines.command("status", printed[0], "--json"))["items"]["total"] == 25


def test_a_run_goes_from_submit_to_results_and_is_removed(machines):
    machines.submit(items=20, items_per_task=7)
    assert machines.ended(machines.start("counted:Counted", "--until-empty")) == 0
    assert machines.results() == [{"item": n, "square": n * n} for n in range(20)]
    assert "20 of 20" in machines.command("status", "run")
    machines.command("remove", "run")
    assert "'run' is not known" in machines.command("results", "run", status=2)


def test_a_cancelled_run_is_dead_and_stays_so(machines):
    machines.submit(items=20, items_per_task=10)
    machines.command("cancel", "run")
    machines.command("retry", "run", "--dead")
    assert machines.status()["tasks"] == {"queued": 0, "running": 0, "done": 0, "dead": 2}
    assert "cancelled" in machines.command("status", "run")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("submit", "--items", "absent.jsonl", "--items-per-task", "5"), ["--items", "absent.jsonl", "does not exist"]),
        (("worker", "counted:Counted", "--processes", "none"), ["--processes", "'none'", "from 1 to 256"]),
        (("worker", "counted:Counted", "--lease", "0"), ["--lease", "'0'", "from 1 to 3600"]),
        (("worker", "counted:Counted", "--queue", "sqs"), ["queue", "'sqs'", "local:FOLDER"]),
        (("worker", "counted:Nothing"), ["counted:Nothing", "counted has Counted, ", "Running, Faulty, Unready"]),
        (("status", "nothing"), ["'nothing'", "not known"]),
    ],
    ids=lambda value: " ".join(value[:2]),
)
def test_a_wrong_command_line_names_argument_value_and_what_is_allowed(machines, arguments, told):
    error = machines.command(*arguments, status=2)
    assert all(part in error for part in told), error
    assert "Traceback" not in error


def test_every_broken_line_is_named(machines):
    error = machines.command("submit", "--items", items(machines, "1\n{\n3\nx\n"), "--items-per-task", "5", status=2)
    assert "line 2" in error and "line 4" in error and "line 3" not in error
