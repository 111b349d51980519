"""Real processes on a disk that fills up and, later, has room again."""

import json
from collections import Counter

from tests.spotbatch.clock import wait_until
from tests.spotbatch.machines import Machines
from tests.spotbatch.place import Place, steps_logged, walked
from tests.spotbatch.small_disk import small_disk


def test_a_full_disk_under_the_queue_is_waited_out_and_nothing_is_lost(tmp_path):
    with small_disk(tmp_path / "queue", "6m", tmp_path) as disk:
        machines = Machines(tmp_path, before=disk.before)
        try:
            machines.submit(items=300, items_per_task=100)
            agent = machines.start("counted:Large", "--until-empty")
            wait_until(lambda: machines.log.exists() and len(machines.log.read_text().split()) > 30, what="items done")
            disk.fill()
            wait_until(lambda: any(event["event"] == "cannot beat" for event in machines.events()), 20, "trouble")
            # For longer than a lease: whoever holds a task must let go of it.
            wait_until(lambda: any(event["event"] == "ledger unreachable" for event in machines.events()), 30, "the worker's end")
            told = [event["why"] for event in machines.events() if event["event"] in ("cannot beat", "store in trouble")]
            assert any("full" in why or "No space left" in why for why in told), told
            disk.empty()
            assert machines.ended(agent) == 0
            assert [result["item"] for result in machines.results()] == list(range(300))
            assert machines.status()["tasks"] == {"queued": 0, "running": 0, "done": 3, "dead": 0}
            done = Counter(event["task"] for event in machines.events() if event["event"] == "task done")
            assert set(done.values()) == {1}
            assert not any(event["event"] == "task failed" for event in machines.events())
            assert not list(disk.inside.rglob(".writing-*"))
        finally:
            machines.close()


def test_a_full_disk_under_the_queue_of_a_program_is_waited_out(tmp_path):
    with small_disk(tmp_path / "queue", "4m", tmp_path / "here") as disk:
        place = Place(tmp_path)
        try:
            program = "while [ ! -e go ]; do date > kept/now; sleep 1.7; done; echo whole > kept/end"
            run = place.start("sh", "-c", program, before=disk.before)
            wait_until(lambda: len(place.events("checkpoint durable")) >= 2, 30, "a save")
            disk.fill()
            wait_until(lambda: any("disk is full" in event["why"] for event in place.events("cannot beat")), 30, "trouble")
            wait_until(lambda: place.events("ledger unreachable"), 30, "the end of the claim")
            disk.empty()
            (tmp_path / "here/go").touch()
            assert place.ended(run) == 0
            assert place.kept("end").read_text() == "whole\n"
            assert not place.events("task failed")
        finally:
            place.close()


def test_a_folder_that_does_not_fit_is_said_to_and_goes_on_where_there_is_room(tmp_path):
    place = Place(tmp_path)
    try:
        place.kept("").mkdir(parents=True)
        place.kept("large").write_bytes(bytes(range(256)) * 8000)
        run = place.steps(200)
        wait_until(lambda: len(steps_logged(place)) > 20, what="some steps")
        run.terminate()
        assert place.ended(run, 20) == 143
        with small_disk(tmp_path / "full/kept", "1m", tmp_path / "full") as disk:
            assert place.ended(place.steps(200, on="full", before=disk.before), 30) == 70
        assert "No space left on device" in place.events("folder in trouble")[0]["why"]
        assert (place.task().state, place.task().attempts) == ("queued", {"interrupted": 1, "lost": 1, "failed": 0})
        assert place.ended(place.steps(200, on="elsewhere")) == 0
        assert json.loads(place.kept("state.json", "elsewhere").read_text()) == walked(200)
        assert place.kept("large", "elsewhere").read_bytes() == place.kept("large").read_bytes()
        assert steps_logged(place) == list(range(1, 201))
    finally:
        place.close()
