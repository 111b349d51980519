from tests.spotbatch.counting import faults

LOG = ["0 a", "1 b", "1 c"]


def test_an_item_that_ran_twice_with_one_result_is_no_fault():
    assert faults(["0", "1"], LOG, ["a", "c"]) == []


def test_each_kind_of_fault_is_told():
    assert faults(["0", "1"], LOG, ["a"]) == ["item 1 was lost"]
    assert faults(["0", "1"], LOG, ["a", "b", "c"]) == ["item 1 has 2 results"]
    assert faults(["0", "1"], LOG, ["a", "d", "c"]) == ["result d is of no item that ever ran"]
    assert faults(["0", "1"], [*LOG, "1 a"], ["a", "c"])[0] == "token a was written twice, for item 0 and item 1"
    assert faults(["0", "1"], LOG, ["b", "a"]) == ["the results are not in item order"]
