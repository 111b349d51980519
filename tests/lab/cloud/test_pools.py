from collections import Counter

import pytest

from lab.cloud.market.pools import Candidate, Pools

A, B = ("m5.xlarge", "us-east-1a"), ("c5.xlarge", "us-east-1b")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def candidate(pool: tuple[str, str], **more: float) -> Candidate:
    return Candidate(pool[0], pool[1], "subnet-1", **more)  # type: ignore[arg-type]


def choose(
    pools: Pools, candidates: list[Candidate], strategy: str, held: dict[tuple[str, str], int] | None = None, missing: float = 1, use: int = 1
):
    chosen = pools.choose(candidates, strategy, Counter(held or {}), missing, use)
    return chosen.pool if chosen else None


@pytest.fixture
def pools() -> Pools:
    pools = Pools(clock=Clock())
    pools.set_depth(A, 10)
    pools.set_depth(B, 40)
    return pools


def test_capacity_optimized_takes_the_deepest_pool(pools: Pools):
    assert choose(pools, [candidate(A), candidate(B)], "capacityOptimized") == B
    pools.set_depth(A, 41)
    assert choose(pools, [candidate(A), candidate(B)], "capacity-optimized") == A


def test_lowest_price_takes_the_cheapest_unit(pools: Pools):
    assert pools.price(B) < pools.price(A)
    assert choose(pools, [candidate(A), candidate(B)], "lowestPrice") == B
    assert choose(pools, [candidate(A, weight=4.0), candidate(B)], "lowestPrice") == A


def test_lowest_price_spreads_over_as_many_pools_as_asked_for(pools: Pools):
    assert choose(pools, [candidate(A), candidate(B)], "lowestPrice", held={B: 1}, use=2) == A


def test_diversified_takes_the_pool_with_the_fewest_of_ours(pools: Pools):
    assert choose(pools, [candidate(A), candidate(B)], "diversified", held={B: 1}) == A


def test_price_capacity_optimized_leaves_out_shallow_pools_before_it_looks_at_prices(pools: Pools):
    assert choose(pools, [candidate(A, weight=8.0), candidate(B)], "priceCapacityOptimized") == B
    pools.set_depth(A, 30)
    assert choose(pools, [candidate(A, weight=8.0), candidate(B)], "price-capacity-optimized") == A


def test_a_priority_counts_only_where_the_pool_holds_the_whole_rest(pools: Pools):
    both = [candidate(A, priority=1.0), candidate(B, priority=2.0)]
    assert choose(pools, both, "capacityOptimizedPrioritized", missing=5) == A
    assert choose(pools, both, "capacityOptimizedPrioritized", missing=20) == B


def test_an_empty_pool_and_a_pool_above_the_maximum_price_give_nothing(pools: Pools):
    pools.set_depth(B, 0)
    assert choose(pools, [candidate(B)], "capacityOptimized") is None
    assert choose(pools, [candidate(A, max_price=pools.price(A) / 2)], "capacityOptimized") is None


def test_a_pool_that_was_interrupted_gives_nothing_until_it_has_recovered():
    clock = Clock()
    pools = Pools(recovery_seconds=180, clock=clock)
    pools.set_depth(A, 10)
    pools.interrupted(A)
    assert pools.depth(A) == 0
    clock.now += 181
    assert pools.depth(A) == 10


def test_pools_nobody_has_set_are_as_deep_in_every_lab():
    assert Pools().depth(A) == Pools().depth(A) and 20 <= Pools().depth(A) < 60
