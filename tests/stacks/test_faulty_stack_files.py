import json
import re
from typing import Any

import pulumi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stacks import aws_faults, stack_file
from stacks.settings import AwsSettings
from stacks.stack_file import parse_aws

SOUND: dict[str, Any] = {
    "network": {},
    "queue": {},
    "machine": {"worker": "etl:SurvivalStatistics", "code": {"folder": "examples/etl"}},
    "fleet": {},
    "interruptions": {},
}

SECTION_KEYS = list(AwsSettings.model_fields)


def faults(**sections: Any) -> list[str]:
    """What is said of the sound file with these sections instead."""
    return parse_aws(json.dumps({**SOUND, **sections}))[1]


def test_a_sound_file_has_no_faults():
    assert faults() == []


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        # keys
        ({"fleat": {}}, [".fleat: no such key; did you mean fleet?"]),
        ({"fleet": {"targetCapcity": 3}}, [".fleet.targetCapcity: no such key; did you mean targetCapacity?"]),
        ({"fleet": {"target_capacity": 3}}, [".fleet.target_capacity: no such key; did you mean targetCapacity?"]),
        ({"fleet": {"risks": {"maxprice": "1"}}}, [".fleet.risks.maxprice: no such key; did you mean maxPrice?"]),
        ({"queue": {"encrypt": True}}, [".queue.encrypt: no such key; known: deleteData"]),
        (
            {"fleet": {"instanceTypes": [{"name": "m5.xlarge", "wait": 1}]}},
            [".fleet.instanceTypes[0].wait: no such key; did you mean weight?"],
        ),
        # types
        ({"fleet": {"targetCapacity": "ten"}}, [".fleet.targetCapacity: 'ten' is not allowed; allowed: a whole number"]),
        ({"fleet": {"targetCapacity": "10"}}, [".fleet.targetCapacity: '10' is not allowed; allowed: a whole number"]),
        ({"fleet": {"targetCapacity": 2.5}}, [".fleet.targetCapacity: 2.5 is not allowed; allowed: a whole number"]),
        ({"fleet": {"targetCapacity": True}}, [".fleet.targetCapacity: True is not allowed; allowed: a whole number"]),
        ({"queue": {"deleteData": "yes"}}, [".queue.deleteData: 'yes' is not allowed; allowed: true or false"]),
        ({"queue": {"deleteData": 1}}, [".queue.deleteData: 1 is not allowed; allowed: true or false"]),
        ({"tags": ["team"]}, [".tags: ['team'] is not allowed; allowed: a mapping from names to values"]),
        ({"tags": {"team": 7}}, [".tags.team: 7 is not allowed; allowed: a string"]),
        ({"fleet": {"instanceTypes": "m5.xlarge"}}, [".fleet.instanceTypes: 'm5.xlarge' is not allowed; allowed: a list"]),
        (
            {"fleet": {"instanceTypes": ["m5.xlarge"]}},
            [".fleet.instanceTypes[0]: 'm5.xlarge' is not allowed; allowed: a mapping with the keys name, weight"],
        ),
        ({"queue": True}, [".queue: True is not allowed; allowed: a mapping with the keys deleteData"]),
        ({"queue": None}, [".queue: empty; allowed: a value, or {} for a section that takes its defaults"]),
        (
            {"fleet": {"scaling": {"max": None}}},
            [
                ".fleet.scaling.max: empty; allowed: a value, or {} for a section that takes its defaults",
                ".fleet.scaling.tasksPerUnit: missing",
            ],
        ),
        ({"machine": {}}, [".machine.worker: missing"]),
        # values
        ({"fleet": {"targetCapacity": 0}}, [".fleet.targetCapacity: 0 is not allowed; allowed: 1 or more"]),
        (
            {"fleet": {"allocationStrategy": "cheapest"}},
            [
                ".fleet.allocationStrategy: 'cheapest' is not allowed; allowed: one of capacityOptimized, capacityOptimizedPrioritized, "
                "priceCapacityOptimized, diversified, lowestPrice"
            ],
        ),
        ({"network": {"wayOut": "nat-per-zone"}}, [".network.wayOut: 'nat-per-zone' is not allowed; allowed: one of nat, nat_per_zone, endpoints"]),
        ({"network": {"zones": 1}}, [".network.zones: 1 is not allowed; allowed: 2 to 6"]),
        ({"machine": {**SOUND["machine"], "image": {"rootGib": 4}}}, [".machine.image.rootGib: 4 is not allowed; allowed: 8 to 16384"]),
        ({"drill": {"count": 6}}, [".drill.count: 6 is not allowed; allowed: 1 to 5 with no zones given, and five more for each zone"]),
        ({"tags": {"aws:team": "x"}}, [".tags['aws:team']: 'aws:team' is not allowed; allowed: a key that does not begin with aws: or spotbatch:"]),
        # one key against another
        (
            {"fleet": {"risks": {"maxPrice": "0.1"}}},
            [
                ".fleet.risks.maxPrice: '0.1' is not allowed; allowed: left out, which means the on-demand price; "
                "or given with risks.acceptMoreInterruptions"
            ],
        ),
        (
            {"fleet": {"scaling": {"min": 5, "max": 4, "tasksPerUnit": 1}}},
            [".fleet.scaling.min: 5 is not allowed; allowed: at most scaling.max, which is 4"],
        ),
        (
            {"network": {"subnetIds": ["subnet-0a", "subnet-0b"], "zones": 3}},
            [".network: subnetIds beside zones is not allowed; allowed: subnets that exist, or what describes a network to make"],
        ),
        (
            {"network": {"subnetIds": ["subnet-0a", "vpc-0b"]}},
            [".network.subnetIds[1]: 'vpc-0b' is not allowed; allowed: a subnet id like subnet-0123456789abcdef0"],
        ),
        (
            {"machine": {"worker": "etl:Survival", "code": {"folder": "examples/etl"}}},
            [".machine.worker: 'etl:Survival': no Survival in examples/etl/etl.py; did you mean SurvivalStatistics?"],
        ),
    ],
    ids=str,
)
def test_a_fault_is_named_by_its_dotted_path_with_its_value_and_what_is_allowed(sections: dict[str, Any], said: list[str]):
    assert faults(**sections) == said


def test_a_network_without_a_subnet_is_refused_where_no_pool_would_refuse_it():
    sections = {"network": {"subnetIds": []}, "queue": {}, "machine": SOUND["machine"]}
    assert parse_aws(json.dumps(sections))[1] == [".network.subnetIds: [] is not allowed; allowed: one or more subnets of one network"]


def test_a_section_that_another_needs_is_missed_once():
    sections = {"fleet": {"scaling": {"max": 2, "tasksPerUnit": 1}}, "drill": {}}
    assert parse_aws(json.dumps(sections))[1] == [
        ".network: missing, but needed by fleet",
        ".queue: missing, but needed by fleet, drill",
        ".machine: missing, but needed by fleet, drill",
        ".interruptions: missing, but needed by drill",
        ".interruptions: missing, but needed by fleet.scaling, as it publishes the backlog",
    ]


def test_faults_of_every_sort_are_told_in_one_go():
    said = faults(
        fleet={"targetCapcity": 3, "targetCapacity": 0},
        interruptions={"drillSource": "yes", "logRetentionDays": 2},
        network={"zones": 1},
        machine={"worker": 7},
    )
    assert [fault.split(":")[0] for fault in said] == [
        ".machine.worker",
        ".fleet.targetCapcity",
        ".interruptions.drillSource",
        ".network.zones",
        ".fleet.targetCapacity",
        ".interruptions.logRetentionDays",
    ]


KEYS = st.sampled_from([*SECTION_KEYS, "zones", "scaling", "max", "name", "instanceTypes", "subnetIds", "code", "worker", "x y", ""])
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 100)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "etl:X", "subnet-1", "a: b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(KEYS, ANYTHING, max_size=5))
def test_whatever_stands_in_a_file_there_are_faults_or_sound_settings_and_never_a_traceback(sections: dict[str, Any]):
    found, said = parse_aws(json.dumps({**SOUND, **sections}))
    assert all(re.match(r"\.?[^:]*: ", fault) for fault in said)
    if not said:
        assert list(aws_faults.value_faults(found)) == []


@pytest.mark.parametrize("text", ["hello", "[]", "7", "{}"])
def test_what_is_no_section_at_all_is_said_to_be_none(text: str):
    (fault,) = parse_aws(text)[1]
    assert fault.endswith(
        "is not allowed; allowed: a mapping with some of the sections tags, network, queue, machine, fleet, group, interruptions, drill"
    )


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "spotbatch:aws or spotbatch:eks: missing; allowed: one of them or more"),
        ({"spotbatch:awz": "{}"}, "spotbatch:awz: no such key; did you mean aws?"),
        ({"spotbatch:gcp": "{}", "spotbatch:aws": '{"queue": {}}'}, "spotbatch:gcp: no such key; known: aws, eks"),
    ],
    ids=str,
)
def test_a_key_of_the_project_that_nobody_reads_is_refused(config: dict[str, str], said: str):
    pulumi.runtime.set_all_config({"aws:region": "us-east-1", **config})
    with pytest.raises(pulumi.RunError, match=said.replace("?", r"\?")):
        stack_file.read()
    pulumi.runtime.set_all_config({})


def test_the_faults_come_under_the_name_of_the_stack_file():
    pulumi.runtime.set_all_config({"spotbatch:aws": json.dumps({"queue": {"deletData": True}})})
    with pytest.raises(pulumi.RunError) as raised:
        stack_file.read()
    pulumi.runtime.set_all_config({})
    assert str(raised.value).endswith(
        ".yaml: 1 fault, nothing was declared\n  - spotbatch:aws.queue.deletData: no such key; did you mean deleteData?"
    )
