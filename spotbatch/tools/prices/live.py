"""Today's AWS prices, asked of AWS: the pricing API for on-demand, the Spot price history for Spot. Needs credentials."""

import datetime
import json
import statistics
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from spotbatch.clouds import aws_client
from spotbatch.tools.prices.price import Price
from spotbatch.tools.prices.price_tables import NoPrice

PRICING_REGION = "us-east-1"
"""One of the few that serve the pricing API, for all of them.
https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html"""

HISTORY_DAYS = 90
"""What AWS keeps of Spot prices. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-spot-instances-history.html"""

_ORDINARY = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
    "marketoption": "OnDemand",
}


class LivePrices:
    """Answers as `PriceTables` does. `client(service, region)` makes a client; default: one with the environment's credentials."""

    def __init__(self, client: Callable[[str, str], Any] = aws_client.client, today: datetime.date | None = None) -> None:
        self._client, self._today = client, today or datetime.datetime.now(datetime.UTC).date()

    def on_demand(self, instance_type: str, region: str, wanted: datetime.date) -> Price:
        """Today's list price, whenever it is wanted for: the API knows no other. Raises NoPrice, StoreError."""
        filters = [
            {"Type": "TERM_MATCH", "Field": field, "Value": value}
            for field, value in {**_ORDINARY, "instanceType": instance_type, "regionCode": region}.items()
        ]
        try:
            answer = self._client("pricing", PRICING_REGION).get_products(ServiceCode="AmazonEC2", Filters=filters)
        except (ClientError, BotoCoreError) as fault:
            raise aws_client.trouble(fault, "pricing:GetProducts", "*") from None
        prices = {
            float(dimension["pricePerUnit"]["USD"])
            for text in answer["PriceList"]
            for term in json.loads(text)["terms"]["OnDemand"].values()
            for dimension in term["priceDimensions"].values()
        }
        if len(prices) != 1:
            raise NoPrice(f"{instance_type} in {region}: AWS's pricing API answers with {len(prices)} on-demand prices; are type and region right?")
        return Price(prices.pop(), "on-demand", instance_type, region, self._today.isoformat(), "AWS pricing API", self._today)

    def spot(self, instance_type: str, region: str, wanted: datetime.date) -> Price:
        """The mean over the region's zones on the day that is wanted. Raises NoPrice, StoreError."""
        oldest = self._today - datetime.timedelta(days=HISTORY_DAYS)
        if wanted < oldest:
            raise NoPrice(f"{instance_type} in {region}: AWS keeps Spot prices for {HISTORY_DAYS} days, since {oldest}, not of {wanted}")
        noon = datetime.datetime.combine(wanted, datetime.time(12), datetime.UTC)
        moment = datetime.datetime.now(datetime.UTC) if wanted >= self._today else noon
        try:
            answer = self._client("ec2", region).describe_spot_price_history(
                InstanceTypes=[instance_type], ProductDescriptions=["Linux/UNIX"], StartTime=moment, EndTime=moment
            )
        except (ClientError, BotoCoreError) as fault:
            raise aws_client.trouble(fault, "ec2:DescribeSpotPriceHistory", "*") from None
        zones = {row["AvailabilityZone"]: float(row["SpotPrice"]) for row in answer["SpotPriceHistory"]}
        if not zones:
            raise NoPrice(f"{instance_type} in {region}: AWS's Spot price history has nothing of {moment:%Y-%m-%d}; are type and region right?")
        source = f"AWS Spot price history, mean of {', '.join(sorted(zones))}"
        return Price(statistics.fmean(zones.values()), "spot", instance_type, region, moment.date().isoformat(), source, moment.date())
