"""What EC2 does when it wants capacity back: say so, wait, take."""

import asyncio
import time
from collections.abc import Callable

from lab.cloud.market import emulator
from lab.cloud.market.instance import Instance
from lab.cloud.market.instances import Instances
from lab.cloud.market.interruption import Interruption
from lab.cloud.market.journal import Journal
from lab.cloud.market.metadata import interruption_values, rebalance_values
from lab.cloud.market.pools import Pools


class Interruptions:
    """Warns machines and kills them at the deadline, to the process.

    `stop` and `hibernate` end the machine too: the lab does not bring it back when capacity returns.
    """

    def __init__(self, instances: Instances, pools: Pools, journal: Journal) -> None:
        self._instances = instances
        self._pools = pools
        self._journal = journal
        self.on_rebalance: list[Callable[[Instance], None]] = []
        """Called with an instance that got a rebalance recommendation, for owners that replace early."""
        self.on_notice: list[Callable[[Instance], None]] = []
        """Called with an instance that got its interruption notice."""

    def interrupt(self, instance: Instance, how: Interruption) -> float:
        """Begin; the deadline, seconds since 1970. An instance that is going already keeps its deadline."""
        if not instance.living or instance.deadline is not None:
            return instance.deadline or instance.ended or time.time()
        wait = 0.0 if how.action == "hibernate" else how.notice_seconds
        # Whole seconds, as the notice can say nothing finer; never earlier than asked for.
        now = time.time()
        deadline = instance.deadline = float(int(now + wait) + (0 if (now + wait).is_integer() else 1)) if wait else now
        self._pools.interrupted(instance.pool)
        with emulator.inside(instance.scope):
            self._journal.note("notice", machine=instance.id, deadline=deadline, action=how.action, event=how.event, metadata=how.metadata)
            if how.metadata:
                instance.process.change_metadata(interruption_values(how.action, deadline))
            if how.event:
                detail = {"instance-id": instance.id, "instance-action": how.action}
                warning = ("EC2 Spot Instance Interruption Warning", instance, detail, now)
                asyncio.get_running_loop().call_later(how.event_delay_seconds, self._warn, *warning)
            for listener in self.on_notice:
                listener(instance)
            asyncio.get_running_loop().call_later(deadline - now, self._instances.kill, instance, how.reason)
        return deadline

    def recommend_rebalance(self, instance: Instance, *, event: bool = True, metadata: bool = True) -> None:
        """Say that the machine is at raised risk; nothing else happens to it, unless its owner replaces early."""
        if not instance.living:
            return
        instance.rebalance_at = time.time()
        with emulator.inside(instance.scope):
            self._journal.note("rebalance", machine=instance.id, event=event, metadata=metadata)
            if metadata:
                instance.process.change_metadata(rebalance_values(instance.rebalance_at))
            if event:
                self._warn("EC2 Instance Rebalance Recommendation", instance, {"instance-id": instance.id}, instance.rebalance_at)
            for listener in self.on_rebalance:
                listener(instance)

    def _warn(self, detail_type: str, instance: Instance, detail: dict[str, str], at: float) -> None:
        # The zone stands where an ARN has its region, and there is no account: EC2's events are like that.
        emulator.publish("aws.ec2", detail_type, detail, [f"arn:aws:ec2:{instance.pool[1]}:instance/{instance.id}"], at)
