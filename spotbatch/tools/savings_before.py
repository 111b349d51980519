"""What Spot machines would save before any has run: the discount of each type, less an overhead for interruptions."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spotbatch.tools.prices.discount import Discount
from spotbatch.tools.prices.price import Price
from spotbatch.tools.prices.price_tables import NoPrice, PriceTables
from spotbatch.tools.savings_after import Prices


@dataclass(frozen=True)
class Forecast:
    """One instance type in one region."""

    instance_type: str
    region: str
    discount: Discount
    """The one that counts: the newest, or the cloud's own answer."""
    earlier: list[Discount]
    """What the shipped tables had before, oldest first."""
    on_demand: Price | None
    """None where the tables know the discount, but not the price it is of."""
    spot: Price | None
    overhead: float

    @property
    def net(self) -> float:
        """The part of the on-demand cost that is saved, after paying for so many more hours."""
        return net(self.discount.fraction, self.overhead)

    def to_json(self) -> dict[str, Any]:
        return {
            "instance_type": self.instance_type,
            "region": self.region,
            "discount_percent": round(100 * self.discount.fraction, 2),
            "net_percent": round(100 * self.net, 2),
            "date": self.discount.date,
            "source": self.discount.source,
            "interrupted_a_month": self.discount.interrupted,
            "on_demand": self.on_demand.to_json() if self.on_demand else None,
            "spot": self.spot.to_json() if self.spot else None,
            "earlier": [
                {"date": one.date, "discount_percent": round(100 * one.fraction, 2), "interrupted_a_month": one.interrupted} for one in self.earlier
            ],
        }


def net(discount: float, overhead: float) -> float:
    """0.6 off and 0.05 more hours: 0.58 saved."""
    return 1 - (1 - discount) * (1 + overhead)


def forecasts(types: Sequence[str], region: str, overhead: float, live: Prices | None, wanted: datetime.date) -> list[Forecast]:
    """One for each type. `live` is asked instead of the tables where it is given. Raises NoPrice with every type that has none, StoreError."""
    tables, found, faults = PriceTables(), list[Forecast](), list[str]()
    for instance_type in types:
        dated = tables.discounts(instance_type, region)
        if live is not None:
            try:
                full, spot = live.on_demand(instance_type, region, wanted), live.spot(instance_type, region, wanted)
            except NoPrice as fault:
                faults.append(str(fault))
                continue
            source = f"{spot.source}; {full.source}"
            asked = Discount(
                1 - spot.usd_per_hour / full.usd_per_hour, instance_type, region, spot.date, source, dated[-1].interrupted if dated else ""
            )
            found.append(Forecast(instance_type, region, asked, dated, full, spot, overhead))
        elif not dated:
            faults.append(tables.fault(instance_type, region))
        else:
            try:
                full, spot = tables.on_demand(instance_type, region, wanted), tables.spot(instance_type, region, wanted)
            except NoPrice:
                full = spot = None
            found.append(Forecast(instance_type, region, dated[-1], dated[:-1], full, spot, overhead))
    if faults:
        raise NoPrice("\n".join(faults))
    return found
