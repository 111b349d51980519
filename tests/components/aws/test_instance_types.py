from pathlib import Path
from typing import NamedTuple

import botocore.session
import pytest
from pulumi_spotbatch.aws.instance_types import architecture, runs_on_xen, sold_as_spot, spelled_right, unheard_of


class Family(NamedTuple):
    """One line of instance_families.txt."""

    name: str
    architecture: str
    spot: bool
    xen: bool
    sizes: list[str]

    def types(self) -> list[str]:
        return [f"{self.name}.{size}" for size in self.sizes]


def families() -> list[Family]:
    """What EC2 itself says of every family, as recorded."""
    lines = (Path(__file__).parent / "instance_families.txt").read_text().splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    return [Family(name, kind, spot == "spot", hypervisor == "xen", sizes.split(",")) for name, kind, spot, hypervisor, sizes in rows]


def test_every_type_that_ec2_lists_is_spelled_right():
    listed = botocore.session.get_session().get_service_model("ec2").shape_for("InstanceType").enum  # pyright: ignore[reportAttributeAccessIssue]
    assert len(listed) > 1000
    assert [name for name in listed if not spelled_right(name)] == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        "m5",
        "m5.",
        ".xlarge",
        "m5-xlarge",
        "m5.xlrage",
        "M5.xlarge",
        "m5.XLarge",
        "m5 .xlarge",
        "m5.xlarge ",
        "m.xlarge",
        "5m.xlarge",
        "m5.2large",
    ],
)
def test_what_cannot_be_a_type_is_not_spelled_right(name: str):
    assert not spelled_right(name)


def test_the_name_tells_the_architecture_that_ec2_states():
    wrong = {kind.name: architecture(name) for kind in families() if kind.spot for name in kind.types() if architecture(name) != kind.architecture}
    assert wrong == {}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("g5.xlarge", "x86_64"), ("g5g.xlarge", "arm64"), ("p6-b200.48xlarge", "x86_64"), ("p6e-gb200.36xlarge", "arm64"), ("m7i-flex.large", "x86_64")],
)
def test_a_g_counts_only_where_it_stands_for_the_processor(name: str, expected: str):
    assert architecture(name) == expected


def test_an_architecture_is_not_guessed_from_a_misspelt_name():
    with pytest.raises(ValueError, match=r"'m5xlarge' is not an instance type like m5\.xlarge"):
        architecture("m5xlarge")


def test_no_type_that_is_sold_as_spot_is_taken_for_one_that_is_not():
    assert [name for kind in families() if kind.spot for name in kind.types() if not sold_as_spot(name)] == []


def test_the_series_never_sold_as_spot_are_known():
    assert {kind.name for kind in families() if not kind.spot and sold_as_spot(kind.types()[0])} <= {"trn2u"}


def test_the_families_on_xen_are_known():
    assert {kind.name for kind in families() if runs_on_xen(kind.types()[0])} == {kind.name for kind in families() if kind.xen}


def test_a_type_that_the_sdk_does_not_list_comes_with_the_nearest_that_it_does():
    assert unheard_of(["m5.xlarge", "m55.xlarge", "qq42.nano"]) == {"m55.xlarge": "m5.xlarge", "qq42.nano": ""}
