"""Whatever stands in the ledger or the bucket ends in a clear error, never in a crash of another kind, and never in a lost item."""

import contextlib
import json
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spotbatch.bad_record import BadRecord
from spotbatch.checkpoint import Checkpoint, Damaged, Progress, checksum, decode, encode
from spotbatch.claim_story import waste
from spotbatch.machine import Machine
from spotbatch.owner import Owner
from spotbatch.submit import BadSubmit, Submission
from spotbatch.task import Task
from spotbatch.tools.explain import lines

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
task = Task("r", "000000", "running", 10, "etl:Job", 1, Owner("m", "b", "a", "p"), checkpoints=(Checkpoint(1, 0, 0, 4, "sum", 9, "key"),), version=3)
machine = Machine("m", "b", "a", 1.0, 2.0, "draining", 3.0, "interruption", "why", {"hook": "h"}, spot=False, launched=0.5, version=1)
quick = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def test_records_come_back_as_they_were_written():
    assert Task.from_record(json.loads(json.dumps(task.to_record()))) == task
    assert Machine.from_record(json.loads(json.dumps(machine.to_record()))) == machine


@quick
@given(field=st.sampled_from(sorted(task.to_record())), value=values)
def test_an_odd_task_is_read_or_refused_by_name(field, value):
    try:
        Task.from_record({**task.to_record(), field: value})
    except BadRecord as fault:
        assert "allowed" in str(fault)


@quick
@given(field=st.sampled_from(sorted(machine.to_record())), value=values)
def test_an_odd_machine_is_read_or_refused_by_name(field, value):
    try:
        Machine.from_record({**machine.to_record(), field: value})
    except BadRecord as fault:
        assert "allowed" in str(fault)


@quick
@given(
    entries=st.lists(
        st.fixed_dictionaries(
            {"what": st.sampled_from(["claimed", "lost", "done", "other"])},
            optional=dict.fromkeys(("at", "epoch", "items", "machine", "saved", "why"), values),
        ),
        max_size=6,
    )
)
def test_a_history_of_any_kind_is_told_without_a_fault(entries):
    odd = replace(task, history=tuple(entries))
    assert waste(odd) >= 0
    assert lines(odd, 0.0)


@quick
@given(record=st.dictionaries(st.sampled_from(sorted({*task.to_record(), *machine.to_record()})), values))
def test_any_object_at_all_is_read_or_refused(record):
    for kind in (Task, Machine):
        with contextlib.suppress(BadRecord):
            kind.from_record(record)


@quick
@given(state=st.none() | st.binary(max_size=50), results=st.lists(values, max_size=5), at=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_a_checkpoint_comes_back_whole_or_is_damaged(state, results, at, flip):
    data = encode(Progress(state, [json.dumps(result, separators=(",", ":")) for result in results]))
    entry = Checkpoint(1, 0, 0, len(results), checksum(data), len(data))
    found = decode(data, entry)
    assert (found.state, [json.loads(text) for text in found.results]) == (state, results)
    broken = bytearray(data)
    broken[at % len(data)] ^= flip
    for odd in (bytes(broken), data[: at % len(data)], b""):
        try:
            decode(odd, entry)
        except Damaged:
            continue
        raise AssertionError("a damaged payload was taken for a good one")


@quick
@given(data=st.binary(max_size=200))
def test_a_payload_with_a_fitting_checksum_and_odd_content_is_damaged(data):
    with contextlib.suppress(Damaged):
        decode(data, Checkpoint(1, 0, 0, 2, checksum(data), len(data)))


@quick
@given(lines=st.lists(st.binary(max_size=20), max_size=5), per_task=st.integers(-2, 3), run=st.none() | st.text(max_size=5))
def test_any_items_file_is_taken_or_refused_with_reasons(lines, per_task, run):
    try:
        assert Submission.read(lines, per_task, run).lines
    except BadSubmit as fault:
        assert str(fault)
