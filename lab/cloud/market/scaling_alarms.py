"""Alarms whose action is a scaling policy: looked at each minute, and acted on for as long as they stand."""

import asyncio
from typing import Any

from lab.cloud.market import emulator
from lab.cloud.market.group_policies import GroupPolicies
from lab.cloud.market.journal import Journal
from lab.cloud.market.scalable_targets import ScalableTargets

_BREACHES = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}


class ScalingAlarms:
    """Carries out step policies by CloudWatch alarms on plain metrics.

    `minute_seconds` is how long a minute lasts for these alarms: fewer lets a rehearsal shrink a fleet in seconds.
    No data in an alarm's period: no action, so capacity stays (`treat_missing_data` is taken as `missing`).
    Does not prove: metric math, M out of N, cooldowns, CloudWatch's own delay.
    """

    def __init__(self, targets: ScalableTargets, policies: GroupPolicies, journal: Journal, *, minute_seconds: float = 60.0) -> None:
        self._targets = targets
        self._policies = policies
        self._journal = journal
        self._minute_seconds = minute_seconds

    async def watch(self) -> None:
        """Look each minute, until cancelled."""
        while True:
            await asyncio.sleep(self._minute_seconds)
            for where, alarm in emulator.metric_alarms():
                with emulator.inside(where):
                    self.look(alarm)

    def look(self, alarm: dict[str, Any]) -> None:
        """Act on one alarm if its metric breaches now."""
        arns = alarm.get("AlarmActions") or [] if alarm.get("ActionsEnabled", True) else []
        seconds = alarm.get("Period", 60) * alarm.get("EvaluationPeriods", 1) * self._minute_seconds / 60
        value = emulator.statistic(alarm, seconds) if arns else None
        breaches = _BREACHES.get(alarm.get("ComparisonOperator", ""))
        if value is None or breaches is None or not breaches(value, alarm["Threshold"]):
            return
        breach = value - alarm["Threshold"]
        for arn in arns:
            for owner in (self._targets, self._policies):
                policy = owner.policy(arn)
                capacity = owner.apply(policy, breach) if policy else None
                if policy and capacity is not None:
                    self._journal.note("scaling", alarm=alarm["AlarmName"], value=value, policy=policy["PolicyName"], capacity=capacity)
