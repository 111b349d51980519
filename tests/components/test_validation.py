import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
import pytest
from pulumi_spotbatch.validation import Faults, InvalidArgs, above, between, like, one_of, some


class PoolPart(TypedDict):
    name: str
    weight: NotRequired[int]


class ThingArgs(TypedDict):
    bucket: pulumi.Input[str]
    count: int
    ratio: NotRequired[float]
    subnets: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    pools: NotRequired[Sequence[PoolPart]]
    labels: NotRequired[Mapping[str, pulumi.Input[str]]]
    on: NotRequired[bool]
    strategy: NotRequired[str]


RULES = {
    "count": between(0, 10),
    "strategy": one_of("a", "b"),
    "pools": some(),
    "pools[].weight": above(0),
    "pools[].name": like("[a-z]+", "small letters"),
}


@pytest.fixture
def output():
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield pulumi.Output.from_input("later")
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    asyncio.set_event_loop(None)


def read(args) -> Any:
    faults = Faults("Thing", "it")
    given = faults.read(ThingArgs, args, RULES)
    faults.raise_any()
    return given


def faults_of(args) -> tuple[str, ...]:
    with pytest.raises(InvalidArgs) as raised:
        read(args)
    return raised.value.faults


def test_sound_arguments_come_back_as_given():
    args: ThingArgs = {
        "bucket": "b",
        "count": 3,
        "ratio": 1,
        "pools": [{"name": "x", "weight": 2}],
        "labels": {"k": "v"},
        "on": False,
        "strategy": "a",
    }
    assert read(args) == args


def test_a_whole_float_as_the_component_host_sends_it_becomes_an_int():
    given = read({"bucket": "b", "count": 3.0, "pools": [{"name": "x", "weight": 2.0}]})
    assert type(given["count"]) is int
    assert type(given["pools"][0]["weight"]) is int


def test_a_broken_float_is_no_whole_number():
    assert faults_of({"bucket": "b", "count": 3.5}) == ("count: 3.5 is not allowed; allowed: a whole number",)


def test_true_is_no_number_and_one_is_not_true():
    assert faults_of({"bucket": "b", "count": True, "on": 1}) == (
        "count: True is not allowed; allowed: a whole number",
        "on: 1 is not allowed; allowed: true or false",
    )


def test_an_output_passes_where_the_schema_takes_an_input(output: pulumi.Output[str]):
    given = read({"bucket": output, "count": 1, "subnets": [output, "subnet-1"], "labels": {"k": output}})
    assert given["bucket"] is output
    assert given["subnets"][0] is output
    assert read({"bucket": "b", "count": 1, "subnets": output})["subnets"] is output


def test_an_output_is_refused_where_the_value_decides_what_is_declared(output: pulumi.Output[str]):
    assert faults_of({"bucket": "b", "count": output}) == (
        "count: an Output is not allowed; allowed: a whole number that is known at once, as it decides what is declared",
    )


def test_none_counts_as_left_out():
    assert read({"bucket": "b", "count": 1, "strategy": None}) == {"bucket": "b", "count": 1}
    assert faults_of({"bucket": None, "count": 1}) == ("bucket: missing; allowed: a string",)


def test_every_fault_is_reported_at_once_with_path_value_and_what_is_allowed():
    assert faults_of({"buckt": "b", "count": 11, "strategy": "c", "pools": [{"name": "A1", "weigth": 1}, {"weight": 0}, 7], "labels": {"k": 1}}) == (
        "buckt: no such argument; did you mean bucket?",
        "bucket: missing; allowed: a string",
        "count: 11 is not allowed; allowed: 0 to 10",
        "pools[0].weigth: no such argument; did you mean weight?",
        "pools[0].name: 'A1' is not allowed; allowed: small letters",
        "pools[1].name: missing; allowed: a string",
        "pools[1].weight: 0 is not allowed; allowed: more than 0",
        "pools[2]: 7 is not allowed; allowed: a dictionary like PoolPart",
        "labels['k']: 1 is not allowed; allowed: a string",
        "strategy: 'c' is not allowed; allowed: one of a, b",
    )


def test_a_camel_case_name_leads_to_the_python_name():
    class Args(TypedDict):
        target_capacity: NotRequired[int]

    faults = Faults("Thing", "it")
    faults.read(Args, {"targetCapacity": 1})  # pyright: ignore
    with pytest.raises(InvalidArgs, match="did you mean target_capacity"):
        faults.raise_any()


def test_a_string_is_no_list_and_a_list_no_mapping():
    assert faults_of({"bucket": "b", "count": 1, "subnets": "subnet-1", "labels": ["x"]}) == (
        "subnets: 'subnet-1' is not allowed; allowed: a list of string",
        "labels: ['x'] is not allowed; allowed: a mapping from names to string",
    )


def test_arguments_that_are_no_dictionary_are_one_readable_fault():
    assert faults_of("queue") == ("args: 'queue' is not allowed; allowed: a dictionary like ThingArgs",)


def test_the_error_prints_without_a_traceback_and_names_the_component():
    with pytest.raises(pulumi.RunError) as raised:
        read({"bucket": "b", "count": 99})
    assert str(raised.value) == "Thing 'it': 1 fault in its arguments, nothing of it was declared\n  - count: 99 is not allowed; allowed: 0 to 10"


def test_a_long_value_is_shown_cut():
    assert len(faults_of({"bucket": "b", "count": 1, "strategy": "x" * 500})[0]) < 160
