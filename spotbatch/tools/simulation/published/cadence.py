"""When a published rule saves the progress of a long job: C0 to C4."""

import math
from dataclasses import dataclass
from typing import Literal

from spotbatch.tools.simulation.setting import Setting

Rule = Literal["C0", "C1", "C2", "C3", "C4"]

MARGIN_S = 10.0
"""A notice is used where the write fits into it with so much to spare, and the write ends so long before the machine does."""


@dataclass(frozen=True)
class Cadence:
    """What a machine does about its progress. Neither: an item that is cut short starts again."""

    every_s: float | None = None
    """Seconds of work between periodic saves."""
    on_notice: bool = False
    """One save before the machine's end, because it was told of it; it begins nothing new then."""

    @staticmethod
    def of(rule: Rule, setting: Setting) -> "Cadence":
        """Young's and Daly's formulas are given the trace's own mean time between interruptions, which nobody knows beforehand."""
        write = setting.workload.state_write_s
        notice = setting.notice_s > 0 and write <= setting.notice_s - MARGIN_S
        if rule == "C1":
            return Cadence(young(write, mean_up_s(setting)))
        if rule == "C2":
            return Cadence(daly(write, mean_up_s(setting)))
        if rule == "C3" or (rule == "C4" and notice):
            return Cadence(on_notice=notice)
        return Cadence(daly(write, mean_up_s(setting))) if rule == "C4" else Cadence()


def young(write_s: float, mean_up_s: float) -> float:
    """sqrt(2cM), Young 1974. At least a second."""
    return max(1.0, math.sqrt(2 * write_s * mean_up_s))


def daly(write_s: float, mean_up_s: float) -> float:
    """Daly 2006, equation 37. At least a second."""
    if write_s >= 2 * mean_up_s:
        return max(1.0, mean_up_s)
    part = write_s / (2 * mean_up_s)
    return max(1.0, math.sqrt(2 * write_s * mean_up_s) * (1 + math.sqrt(part) / 3 + part / 9) - write_s)


def mean_up_s(setting: Setting) -> float:
    """Seconds up per interruption, over all pools of the setting; the whole time up where there was none."""
    up, drops = 0.0, 0
    for pool in setting.pools:
        if pool.lifetimes_s is not None:
            up, drops = up + float(pool.lifetimes_s.sum()), drops + len(pool.lifetimes_s)
        else:
            given = pool.capacity > 0
            up += float((pool.end_s - pool.start_s)[given].sum())
            drops += int((given[:-1] & ~given[1:]).sum())
    return max(up, 1.0) / max(drops, 1)
