"""The product itself as a policy: its agent, worker, ledger and handler on a simulated cloud, machines placed by its strategies."""

from spotbatch.strategies.next_pool import away_from_trouble
from spotbatch.strategies.on_demand import keep_for_interruptions
from spotbatch.tools.simulation.outcome import Event, Outcome
from spotbatch.tools.simulation.policy import Policy
from spotbatch.tools.simulation.setting import Setting
from spotbatch.tools.simulation.simulated_cloud import SimulatedCloud
from spotbatch.tools.simulation.simulated_fleet import SimulatedFleet
from spotbatch.tools.simulation.simulated_machine import EPOCH, SimulatedMachine

HOUR = 3600.0


def run(setting: Setting, *, signal: bool = True) -> Outcome:
    """One start of the workload, to its end or the horizon. `signal`: the fleet knows for how long each pool has had capacity."""
    cloud = SimulatedCloud(setting)
    fleet = SimulatedFleet(cloud, away_from_trouble, keep_for_interruptions if setting.on_demand else None, signal=signal)
    cloud.run(fleet)
    fleet.ended()
    return outcome(cloud, fleet)


def run_blind(setting: Setting) -> Outcome:
    """The same, knowing of pools only what its own launches and interruptions in this run tell."""
    return run(setting, signal=False)


def outcome(cloud: SimulatedCloud, fleet: SimulatedFleet) -> Outcome:
    setting, tally = cloud.setting, cloud.tally
    machines = list(cloud.machines.values())
    end = setting.start_s + setting.horizon_s if cloud.finished_s is None else cloud.finished_s
    spot = cost = on_demand = free = boot = other = 0.0
    spent: dict[str, float] = {"work": 0.0, "restore": 0.0, "checkpoint": 0.0}
    for machine in machines:
        life = machine.life
        assert life.gone_s is not None
        hours = (life.gone_s - life.granted_s) / HOUR
        if machine.grant is None:
            on_demand += hours
        elif setting.first_hour_free and life.taken and hours < 1:
            free += hours
        else:
            spot += hours
            cost += hours * setting.ratio(setting.pools[machine.grant.pool])
        booting = (life.gone_s if life.booted_s is None else life.booted_s) - life.granted_s
        boot += booting
        other += hours * HOUR - booting - sum(life.spent.values())
        for kind, seconds in life.spent.items():
            spent[kind] += seconds
    saved = cloud.saved_s()
    makespan, deadline = end - setting.start_s, setting.workload.deadline_s
    finished = cloud.finished_s is not None
    return Outcome(
        makespan_s=makespan,
        ideal_s=setting.ideal_s(),
        useful_s=saved,
        spot_hours=spot,
        spot_cost=cost,
        on_demand_hours=on_demand,
        free_hours=free,
        boot_s=boot,
        restore_s=spent["restore"],
        checkpoint_s=spent["checkpoint"],
        lost_s=max(0.0, spent["work"] - saved),
        waiting_s=fleet.waiting_s,
        drain_s=other,
        interruptions=sum(machine.life.taken for machine in machines),
        items_lost=cloud.items_lost() if finished else 0,
        items_twice=tally.items_twice,
        twice_s=max(0.0, spent["work"] - tally.done_s),
        deadline_missed=deadline is not None and (not finished or makespan > deadline),
        finished=finished,
        events=tuple(event for machine in machines for event in _events(machine, setting.start_s)) if setting.keep_events else (),
    )


def _events(machine: SimulatedMachine, start: float) -> list[Event]:
    life = machine.life
    gone = life.gone_s or life.granted_s
    stretches = [("boot", life.granted_s, life.booted_s or gone), *life.stretches]
    events = [Event(machine.name, machine.pool, kind, begin - start, end - start) for kind, begin, end in stretches]  # pyright: ignore[reportArgumentType]
    if machine.notice is not None:
        events.append(Event(machine.name, machine.pool, "drain", machine.notice.sent - EPOCH - start, gone - start))
    return [*events, Event(machine.name, machine.pool, "interruption" if life.taken else "end", gone - start, gone - start)]


POLICIES = [
    Policy(
        "ours",
        "spotbatch's agent, worker, ledger and handler; a replacement starts at the notice, in a pool that has long had capacity",
        "worker + handler; placement: Fleet (capacity-optimized; its signal is modelled by the trace's past)",
        run,
    ),
    Policy(
        "ours-blind",
        "the same without a capacity signal: pools are known by the run's own launches and interruptions alone",
        "worker + handler; placement: nothing yet",
        run_blind,
    ),
]
