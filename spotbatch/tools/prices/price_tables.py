"""What a machine costs, looked up in the shipped tables: (type, region, date wanted) -> price, source, date."""

import datetime
import difflib
from collections.abc import Iterable, Iterator

from spotbatch.tools.prices.discount import Discount
from spotbatch.tools.prices.price import Price
from spotbatch.tools.prices.table import Row, Table, shipped

_NAMES_SHOWN = 5


class NoPrice(LookupError):
    """No table answers; the text names type and region, and what is near."""


class PriceTables:
    """The shipped tables. Of several that answer, the one nearest to the wanted date does; its own date is part of every answer."""

    def __init__(self, tables: Iterable[Table] | None = None) -> None:
        self._tables = shipped() if tables is None else tuple(tables)

    def on_demand(self, instance_type: str, region: str, wanted: datetime.date) -> Price:
        """Raises NoPrice."""
        for table, row in self._nearest(instance_type, region, wanted, "on_demand"):
            return Price(float(row["on_demand"]), "on-demand", instance_type, region, table.date, table.what, table.day)
        raise NoPrice(self._missing(instance_type, region, ("on_demand",), "on-demand price"))

    def spot(self, instance_type: str, region: str, wanted: datetime.date) -> Price:
        """A Spot price as published, or the advisor's discount on the on-demand price: whichever is nearer to the date. Raises NoPrice."""
        published = next(self._nearest(instance_type, region, wanted, "spot"), None)
        advised = next(self._nearest(instance_type, region, wanted, "discount_percent"), None)
        if published and (not advised or published[0].days_from(wanted) <= advised[0].days_from(wanted)):
            table, row = published
            return Price(float(row["spot"]), "spot", instance_type, region, table.date, table.what, table.day)
        if advised:
            table, row = advised
            full, percent = self.on_demand(instance_type, region, wanted), float(row["discount_percent"])
            source = f"{table.what}: {percent:g} % off the on-demand price of {full.date}"
            return Price(full.usd_per_hour * (1 - percent / 100), "spot", instance_type, region, table.date, source, table.day)
        raise NoPrice(self._missing(instance_type, region, ("spot", "discount_percent"), "Spot price"))

    def discounts(self, instance_type: str, region: str) -> list[Discount]:
        """At every date that the tables have, oldest first; empty when the pair is in none."""
        found = []
        for table in self._tables:
            row = table.rows.get((region, instance_type))
            if row is None or (fraction := self._fraction(table, row, instance_type, region)) is None:
                continue
            found.append(Discount(fraction, instance_type, region, table.date, table.what, row.get("interrupted_a_month", "")))
        return found

    def all_discounts(self) -> dict[str, list[float]]:
        """Of every region and type, for each table that says discounts by itself, by `cloud date`."""
        found = {
            f"{table.cloud} {table.date}": [fraction for row in table.rows.values() if (fraction := _own_fraction(row)) is not None]
            for table in self._tables
        }
        return {name: fractions for name, fractions in found.items() if fractions}

    def service(self, name: str, region: str) -> tuple[float, Table, str]:
        """USD for one unit of a service, its table, and the unit as the list has it. Raises NoPrice."""
        for table in self._tables:
            if (row := table.rows.get((region, name))) and "usd" in row:
                return float(row["usd"]) / float(row["unit"].split()[0]), table, row["unit"]
        raise NoPrice(f"{name} in {region}: the shipped tables have no price of it there")

    def fault(self, instance_type: str, region: str) -> str:
        """What is wrong with a pair of which no table has a discount; empty when one does."""
        return "" if self.discounts(instance_type, region) else self._missing(instance_type, region, ("discount_percent", "spot"), "discount")

    def _nearest(self, instance_type: str, region: str, wanted: datetime.date, column: str) -> Iterator[tuple[Table, Row]]:
        for table in sorted(self._tables, key=lambda table: (table.days_from(wanted), -table.day.toordinal())):
            if (row := table.rows.get((region, instance_type))) and row.get(column):
                yield table, row

    def _fraction(self, table: Table, row: Row, instance_type: str, region: str) -> float | None:
        if (own := _own_fraction(row)) is not None or not row.get("spot"):
            return own
        try:
            return 1 - float(row["spot"]) / self.on_demand(instance_type, region, table.day).usd_per_hour
        except NoPrice:
            return None

    def _missing(self, instance_type: str, region: str, columns: tuple[str, ...], what: str) -> str:
        known = [key for table in self._tables for key, row in table.rows.items() if any(row.get(column) for column in columns)]
        types = {kind for _, kind in known}
        if instance_type not in types:
            return f"instance type {instance_type!r}: the shipped tables have no {what} of it; near are {_near(instance_type, types)}"
        having = {where for where, kind in known if kind == instance_type}
        return f"region {region!r}: the shipped tables have no {what} of {instance_type} there, but in {_near(region, having)}"


def _own_fraction(row: Row) -> float | None:
    if row.get("discount_percent"):
        return float(row["discount_percent"]) / 100
    if row.get("on_demand") and row.get("spot"):
        return 1 - float(row["spot"]) / float(row["on_demand"])
    return None


def _near(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), _NAMES_SHOWN, 0.5) or sorted(known)[:_NAMES_SHOWN]
    return ", ".join(near) + (" and others" if len(known) > len(near) else "")
