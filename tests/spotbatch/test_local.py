import threading

import pytest

from spotbatch import clouds
from spotbatch.clouds.local import LocalHost, LocalPayloads, LocalStore
from spotbatch.protocols import Conflict, Missing, StoreError


def record(version, **more):
    return {"kind": "task", "key": "task/r/0", "run": "r", "state": "queued", "machine": "-", "version": version, "nonce": "n", **more}


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "ledger.sqlite")


def test_a_swap_needs_the_version_that_is_there(store):
    store.swap(record(1), 0)
    for expected in (0, 2):
        with pytest.raises(Conflict):
            store.swap(record(expected + 1), expected)
    store.swap(record(2), 1)
    assert store.read("task/r/0")["version"] == 2


def test_of_many_who_swap_at_once_one_wins_each_version(store):
    store.swap(record(1), 0)
    wins: list[int] = []

    def race():
        for version in range(1, 21):
            try:
                store.swap(record(version + 1), version)
                wins.append(version)
            except Conflict:
                pass

    threads = [threading.Thread(target=race) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(wins) == list(range(1, len(wins) + 1)) and store.read("task/r/0")["version"] == len(wins) + 1


def test_tasks_are_listed_by_state_and_machine(store):
    store.swap(record(1), 0)
    store.swap(record(2, state="running", machine="m1"), 1)
    assert [len(list(store.tasks_in(*where))) for where in (("running",), ("running", "m1"), ("running", "m2"), ("queued",))] == [1, 1, 0, 0]


def test_a_file_that_is_no_ledger_is_named(tmp_path):
    (tmp_path / "ledger.sqlite").write_bytes(b"something else entirely, and long enough to be noticed" * 20)
    with pytest.raises(StoreError, match="queue local:"):
        clouds.connect(f"local:{tmp_path}")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file/queue"):
        clouds.connect(f"local:{tmp_path}/file/queue")


@pytest.mark.parametrize("name", ["", "local:", "sqs:thing", ".spotbatch"])
def test_a_queue_name_that_no_cloud_answers_to_says_what_is_allowed(name):
    with pytest.raises(clouds.BadQueueName, match="neither local:FOLDER nor the URL"):
        clouds.connect(name)


def test_a_payload_is_stored_once(tmp_path):
    payloads = LocalPayloads(tmp_path)
    payloads.put("a/b", b"1")
    payloads.put("a/b", b"1")
    with pytest.raises(StoreError, match="holds other bytes"):
        payloads.put("a/b", b"2")
    assert (payloads.get("a/b"), list(payloads.keys("a/")), list(payloads.keys("z/"))) == (b"1", ["a/b"], [])
    payloads.delete("a/b")
    payloads.delete("a/b")
    with pytest.raises(Missing):
        payloads.get("a/b")


def test_a_payload_that_cannot_be_written_is_an_error_and_leaves_nothing_half_written(tmp_path):
    payloads = LocalPayloads(tmp_path)
    (tmp_path / "a").write_bytes(b"a file where a folder is needed")
    with pytest.raises(StoreError):
        payloads.put("a/b", b"1")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_bell_names_a_queued_task_and_waiting_ends(tmp_path):
    backend = clouds.connect(f"local:{tmp_path}")
    assert backend.doorbell.wait(0.05) is None
    backend.store.swap(record(1, task="0"), 0)
    bell = backend.doorbell.wait(1)
    assert bell is not None and (bell.run, bell.task) == ("r", "0")


def test_this_computer_is_not_taken_away():
    host = LocalHost()
    assert list(host.notices()) == [] and not host.identity().spot


def test_tasks_that_were_left_to_others_do_not_hide_those_of_later_runs(tmp_path):
    backend = clouds.connect(f"local:{tmp_path}")
    for number in range(10):
        backend.store.swap(record(1, key=f"task/a/{number}", run="a", task=str(number)), 0)
    backend.store.swap(record(1, key="task/b/0", run="b", task="0"), 0)
    heard = []
    for _ in range(3):
        bell = backend.doorbell.wait(1)
        assert bell is not None
        heard.append(bell.run)
        backend.doorbell.leave(bell)
    # Those that were left come again once nothing else waits.
    assert heard == ["a", "b", "a"]
