"""The protocol, explored to the end within its bounds; and mutants of it, each of which something must kill."""

import pytest

from tests.fire.model.bounds import BOUNDS
from tests.fire.model.explore import Exploration, explore
from tests.fire.model.protocol import steps
from tests.fire.model.rules import NAMES, Rules, without
from tests.fire.model.state import ITEMS, Faults, start

MUTANTS: dict[tuple[str, ...], str] = {
    ("claim_is_conditional",): "bells lost, doubled; submitted twice",
    ("submit_is_conditional",): "bells lost, doubled; submitted twice",
    ("sweep_rings_again",): "bells lost, doubled; submitted twice",
    ("claim_reads_own_record",): "a notice, and the machine outlives its deadline",
    ("settle_moves_version",): "a write without an answer, a process killed",
    ("agent_takes_back",): "a write without an answer, a process killed",
    ("reap_compares_boot",): "a notice, and the machine back under its old id",
    ("reap_compares_agent",): "an agent restarts, a process is killed",
    ("reap_swaps_on_version_read",): "a machine dies, another is announced",
    ("reap_counts_missing_as_gone",): "a machine sleeps, its record is tidied away, another dies",
    ("replaced_agent_takes_new_id",): "a machine sleeps, its record is tidied away, another dies",
    ("cause_from_record",): "a machine dies, another is announced",
    ("mark_compares_boot",): "a notice, and the machine back under its old id",
    ("beat_keeps_mark",): "a notice, and the machine back under its old id",
    ("clean_up_by_epoch",): "a machine sleeps past its lease, another dies, clean-up",
    ("fallback_cuts_results",): "a payload damaged, a machine dies",
    ("read_back_before_done",): "a payload damaged, a machine dies",
    ("write_needs_epoch", "write_needs_owner"): "a machine sleeps past its lease, another dies, clean-up",
    ("requeue_moves_epoch", "write_needs_running", "write_needs_owner"): "a machine sleeps past its lease, another dies, clean-up",
}

EXPLAINED = {
    "write_needs_running": "epoch and owner say the same, as every way out of running moves the epoch; each of the three guards a slip in the others",
    "write_needs_epoch": "an owner is never used twice; killed together with write_needs_owner",
    "write_needs_owner": "an epoch is claimed once; killed together with write_needs_epoch",
    "requeue_moves_epoch": "`running` and owner refuse the old holder as well; killed together with them",
    "silence_after_claim": "a bell deleted too early is a bell lost, and the sweep rings again: only late",
    "ring_after_swap": "a bell heard too early is deleted, and the sweep rings again: only late",
}
"""Rules that no invariant needs alone, and why they stay."""


@pytest.mark.parametrize("name", BOUNDS)
def test_every_invariant_holds_in_every_state(name, record_property):
    found = explore(BOUNDS[name])
    told = f"{found.states:,} states of one task with {ITEMS} items on two machines, to the end, in {found.seconds:.1f} s"
    faults = ", ".join(f"{fault} <= {count}" for fault, count in BOUNDS[name]._asdict().items() if count)
    record_property("bounds", (f"model, {name} ({faults})", told))
    assert not found.broken, "\n  ".join([found.broken, *found.trace])


@pytest.mark.parametrize("names", MUTANTS, ids="+".join)
def test_a_protocol_without_a_rule_breaks_an_invariant(names, record_property):
    found: Exploration = explore(BOUNDS[MUTANTS[names]], without(*names))
    record_property("model", ("+".join(names), f"{found.broken or 'nothing'}, after {len(found.trace)} steps"))
    assert found.broken


def test_every_rule_is_killed_or_explained(record_property):
    for name, why in EXPLAINED.items():
        record_property("model", (name, f"nothing alone: {why}"))
    alone = {names[0] for names in MUTANTS if len(names) == 1}
    assert alone | EXPLAINED.keys() == set(NAMES)
    assert not alone & EXPLAINED.keys()


def test_doubling_every_message_costs_no_progress():
    # Nothing but doubled bells and events: the task is claimed once, and nobody takes it back.
    seen, waiting = set(), [start(Faults(double=4))]
    while waiting:
        state = waiting.pop()
        if state in seen:
            continue
        seen.add(state)
        assert state.task.epoch <= 1
        waiting += [after for _, _, after in steps(state, Rules())]
    assert any(state.task.state == "done" for state in seen)
