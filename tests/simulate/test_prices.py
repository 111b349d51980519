import ast
import datetime
import re
import statistics
from pathlib import Path

import pytest

from spotbatch.tools.prices.price_tables import NoPrice, PriceTables
from spotbatch.tools.prices.table import shipped

ROOT = Path(__file__).parents[2]
TODAY, EARLY_2021 = datetime.date(2026, 11, 24), datetime.date(2021, 5, 1)


@pytest.fixture(scope="module")
def tables():
    return PriceTables()


@pytest.mark.parametrize(
    ("instance_type", "wanted", "full", "spot", "date"),
    [
        ("t3.xlarge", EARLY_2021, 0.1664, 0.0499, "2021-H1"),
        ("t3.xlarge", TODAY, 0.1664, 0.4 * 0.1664, "2025-06"),
        ("p3.2xlarge", EARLY_2021, 3.06, 0.918, "2021-H1"),
        ("p3.2xlarge", TODAY, 3.06, 0.2 * 3.06, "2025-06"),
        ("m5.xlarge", TODAY, 0.192, 0.34 * 0.192, "2025-06"),
    ],
)
def test_a_lookup_answers_with_price_and_the_date_of_the_nearest_table(tables, instance_type, wanted, full, spot, date):
    assert tables.on_demand(instance_type, "us-east-1", wanted).usd_per_hour == pytest.approx(full)
    found = tables.spot(instance_type, "us-east-1", wanted)
    assert found.usd_per_hour == pytest.approx(spot)
    assert (found.date, found.region, bool(found.source)) == (date, "us-east-1", True)


def test_a_price_made_of_a_discount_says_of_which_on_demand_price(tables):
    assert "60 % off the on-demand price of 2026-07-20" in tables.spot("t3.xlarge", "us-east-1", TODAY).source


def test_google_has_both_prices_and_they_move(tables):
    spring = tables.spot("n2-standard-4", "us-central1", datetime.date(2026, 5, 5))
    summer = tables.spot("n2-standard-4", "us-central1", TODAY)
    assert (spring.date, summer.date) == ("2026-05-05", "2026-08-03")
    assert summer.usd_per_hour == pytest.approx(0.0921, abs=1e-4)
    assert [round(found.fraction, 2) for found in tables.discounts("n2-standard-4", "us-central1")] == [0.69, 0.53]


def test_what_no_table_has_is_refused_with_what_is_near(tables):
    with pytest.raises(NoPrice, match=r"instance type 'm5.xlagre': .* near are m5.xlarge"):
        tables.on_demand("m5.xlagre", "us-east-1", TODAY)
    with pytest.raises(NoPrice, match=r"region 'us-west-2': .* no on-demand price of m5.xlarge there, but in us-east-1"):
        tables.spot("m5.xlarge", "us-west-2", TODAY)
    with pytest.raises(NoPrice, match="s3-put in eu-west-1"):
        tables.service("s3-put", "eu-west-1")
    assert "near are t3.xlarge" in tables.fault("t3.xlarg", "us-east-1")
    assert tables.fault("t3.xlarge", "us-west-2") == ""


def test_the_shipped_tables_hold_what_the_sources_hold(tables):
    pairs = {name: (len(found), round(statistics.median(found), 2)) for name, found in tables.all_discounts().items()}
    assert pairs == {"aws 2021-02": (4255, 0.70), "aws 2025-06": (14962, 0.65), "gcp 2026-05-05": (12370, 0.67), "gcp 2026-08-03": (12725, 0.65)}


def test_every_file_is_in_the_manifest_with_its_source_and_a_licence():
    folder = ROOT / "spotbatch/tools/prices/data"
    assert {table.file for table in shipped()} == {path.name for path in folder.glob("*.gz")}
    notes = (folder / "SOURCES.md").read_text()
    for table in shipped():
        assert table.rows and table.what and table.source
        assert any(re.fullmatch(stem.replace("*", ".*"), table.file) for stem in re.findall(r"`([\w*]+_\*)`", notes)), table.file
    assert sum(path.stat().st_size for path in folder.iterdir()) < 400_000


def test_no_price_is_hard_coded():
    """A number in code that is some table's price, or a dollar sign before a digit, would go stale unseen."""
    prices = {float(row[column]) for table in shipped() for row in table.rows.values() for column in ("on_demand", "spot", "usd") if row.get(column)}
    # Three digits: 0.05 or 0.025 may be anything.
    telling = {price for price in prices if len(f"{price:g}".replace(".", "").lstrip("0")) >= 3}
    files = [*(ROOT / "spotbatch").rglob("*.py"), *(ROOT / "lab/demo").rglob("*.py")]
    faults = []
    for path in files:
        text = path.read_text()
        numbers = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant) and type(node.value) is float]
        faults += [f"{path.relative_to(ROOT)}: {number}" for number in numbers if number in telling]
        faults += [f"{path.relative_to(ROOT)}: {found}" for found in re.findall(r"\$\d[\d.]*", text)]
    assert not faults
