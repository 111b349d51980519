import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

import botocore.session
import pytest
from botocore.stub import ANY, Stubber

from lab.cloud import LocalCloud
from spotbatch.protocols import StoreError
from spotbatch.tools.prices.live import LivePrices
from spotbatch.tools.prices.price_tables import NoPrice

TODAY = datetime.date(2026, 11, 24)


def product(*usd: str) -> str:
    dimensions = {f"R.{number}": {"unit": "Hrs", "pricePerUnit": {"USD": price}} for number, price in enumerate(usd)}
    return json.dumps({"product": {}, "terms": {"OnDemand": {"T": {"priceDimensions": dimensions}}}})


@pytest.fixture
def clients():
    """A client for each service that answers only what a test has put there."""
    session = botocore.session.get_session()
    made = {name: session.create_client(name, "us-east-1", aws_access_key_id="a", aws_secret_access_key="b") for name in ("pricing", "ec2")}
    stubs = {name: Stubber(client) for name, client in made.items()}
    for stub in stubs.values():
        stub.activate()
    yield stubs, LivePrices(lambda service, region: made[service], TODAY)
    for stub in stubs.values():
        stub.assert_no_pending_responses()


def test_the_pricing_api_is_asked_for_plain_linux_in_the_region(clients):
    stubs, prices = clients
    wanted = {"operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used", "marketoption": "OnDemand"}
    wanted |= {"instanceType": "m5.xlarge", "regionCode": "eu-west-1"}
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()]
    stubs["pricing"].add_response("get_products", {"PriceList": [product("0.2140000000")]}, {"ServiceCode": "AmazonEC2", "Filters": filters})
    found = prices.on_demand("m5.xlarge", "eu-west-1", TODAY)
    assert (found.usd_per_hour, found.date, found.source) == (0.214, "2026-11-24", "AWS pricing API")


@pytest.mark.parametrize("listed", [[], [product("0.1", "0.2")]])
def test_no_price_or_several_are_said(clients, listed):
    stubs, prices = clients
    stubs["pricing"].add_response("get_products", {"PriceList": listed})
    with pytest.raises(NoPrice, match=rf"m5.xlarge in us-east-1: .* {2 * len(listed)} on-demand prices"):
        prices.on_demand("m5.xlarge", "us-east-1", TODAY)


def test_a_spot_price_is_the_mean_of_the_zones_on_the_day(clients):
    stubs, prices = clients
    rows = [{"AvailabilityZone": f"us-east-1{zone}", "SpotPrice": price} for zone, price in (("a", "0.06"), ("b", "0.08"))]
    noon = datetime.datetime(2026, 10, 1, 12, tzinfo=datetime.UTC)
    asked = {"InstanceTypes": ["m5.xlarge"], "ProductDescriptions": ["Linux/UNIX"], "StartTime": noon, "EndTime": noon}
    stubs["ec2"].add_response("describe_spot_price_history", {"SpotPriceHistory": rows}, asked)
    found = prices.spot("m5.xlarge", "us-east-1", datetime.date(2026, 10, 1))
    assert (found.usd_per_hour, found.date) == (pytest.approx(0.07), "2026-10-01")
    assert "us-east-1a, us-east-1b" in found.source


def test_what_aws_does_not_keep_and_what_it_does_not_know_is_said(clients):
    stubs, prices = clients
    with pytest.raises(NoPrice, match="keeps Spot prices for 90 days, since 2026-08-26, not of 2026-01-01"):
        prices.spot("m5.xlarge", "us-east-1", datetime.date(2026, 1, 1))
    stubs["ec2"].add_response("describe_spot_price_history", {"SpotPriceHistory": []})
    with pytest.raises(NoPrice, match=r"m5\.xlarg in us-east-1"):
        prices.spot("m5.xlarg", "us-east-1", TODAY)


def test_a_missing_permission_is_named(clients):
    stubs, prices = clients
    stubs["pricing"].add_client_error("get_products", "AccessDeniedException", expected_params={"ServiceCode": "AmazonEC2", "Filters": ANY})
    with pytest.raises(StoreError, match=r"allow pricing:GetProducts on \*"):
        prices.on_demand("m5.xlarge", "us-east-1", TODAY)


def test_the_price_history_of_the_lab_is_read(tmp_path):
    code = (
        "import datetime; from spotbatch.tools.prices.live import LivePrices; "
        "print(LivePrices().spot('c6i.large', 'us-east-1', datetime.datetime.now(datetime.UTC).date()))"
    )
    with LocalCloud(tmp_path / "cloud") as cloud:
        environment = {**os.environ, **cloud.environment}
        told = subprocess.run(
            [sys.executable, "-c", code], env=environment, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
        )
    assert "c6i.large spot us-east-1 $" in told.stdout
    assert "mean of us-east-1a, us-east-1b, us-east-1c" in told.stdout
