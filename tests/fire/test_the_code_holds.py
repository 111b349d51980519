"""Rules taken out of the code itself, each of which a test must notice; the same that are taken out of the model, and more."""

import pytest

from tests.fire.code.mutants import EXPLAINED, MUTANTS, Mutant
from tests.fire.code.mutated import NotThere, copy, verdict
from tests.fire.model.rules import NAMES


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_code_without_a_rule_fails_a_test(mutant, memory_path, record_property):
    copy(memory_path, mutant)
    found = verdict(memory_path)
    killers = [*(["any schedule"] if found.schedules else []), *([found.rule] if found.rule else [])]
    record_property("code", (mutant.name, "; ".join(killers) or "nothing, see below"))
    if mutant.name in EXPLAINED:
        record_property("explained", (mutant.name, EXPLAINED[mutant.name]))
        assert not killers, "it is killed after all: the explanation has to go"
    else:
        assert killers


def test_the_code_as_it_is_passes_what_every_mutant_must_get_past(memory_path):
    copy(memory_path)
    found = verdict(memory_path)
    assert not found.schedules and not found.rule


def test_every_rule_of_the_model_is_taken_out_of_the_code_as_well():
    assert set(NAMES) <= {mutant.name for mutant in MUTANTS}
    assert EXPLAINED.keys() <= {mutant.name for mutant in MUTANTS}


def test_a_mutant_whose_text_is_gone_says_so(tmp_path):
    with pytest.raises(NotThere, match=r"mutant lost: 0 times in spotbatch/ledger.py, not once: 'no such text'"):
        copy(tmp_path, Mutant("lost", "ledger.py", "no such text", ""))
