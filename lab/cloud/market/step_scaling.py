"""The arithmetic of step scaling policies."""

from typing import Any


def step(configuration: dict[str, Any], capacity: int, breach: float) -> int | None:
    """The capacity that step adjustments give for a metric `breach` above its threshold; None if no step covers it.

    https://docs.aws.amazon.com/autoscaling/application/userguide/step-scaling-policy-overview.html
    """
    for one in configuration.get("StepAdjustments") or []:
        low, high = one.get("MetricIntervalLowerBound", float("-inf")), one.get("MetricIntervalUpperBound", float("inf"))
        # Above the threshold the lower bound belongs to the step, below it the upper one.
        if (low <= breach < high) if breach >= 0 else (low < breach <= high):
            match configuration["AdjustmentType"]:
                case "ExactCapacity":
                    return one["ScalingAdjustment"]
                case "ChangeInCapacity":
                    return capacity + one["ScalingAdjustment"]
                case "PercentChangeInCapacity":
                    return capacity + round(capacity * one["ScalingAdjustment"] / 100)
    return None
