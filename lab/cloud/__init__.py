"""AWS on one machine: MiniStack with a Spot market, whose machines can be taken away."""

from lab.cloud.local_cloud import LocalCloud as LocalCloud
from lab.cloud.machine_view import MarketMachine as MarketMachine
from lab.cloud.market_client import MarketClient as MarketClient
