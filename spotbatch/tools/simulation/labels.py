"""What a reader must know before believing a row: where trace and prices are from, and what the rules were given."""

from spotbatch.tools.simulation.experiment import Experiment

OF_KINDS = {
    "availability": "Availability probes: one instance is asked for at a time, so they say nothing of a second one; a probe that fails counts as "
    "an interruption. The public ones are of scarce GPUs, 2022-23.",
    "instance_log": "Instance log: real machines, polled about every 11 min, each end taken midway between two polls; a pool counts as closed until "
    "its next launch.",
    "fleet_events": "Fleet events: each place of one group is a pool of one machine; the group's own limits and its operator's actions are in it. "
    "No capacity signal tells places apart: ours is ours-blind here.",
    "fleet_count": "Fleet count: which machines fell is not recorded, it is drawn; an operator's own scale-in is not told apart. "
    "No capacity signal tells places apart: ours is ours-blind here.",
    "lifetimes": "Lifetimes: a launch is never refused, so there is no waiting in these figures; machines that users stopped were given the life of "
    "one that outlived them.",
}
OF_SHIPPED = {
    "aws_gpu_2020-03-15": "EC2 p2 and p3 in us-east-1, March 2020: 53 hours, in which the four p3 pools had no interruption.",
    "gcp_gpu_2020-03-04": "GCP preemptible GPU machines, March 2020, with the 24-hour limit that Spot machines no longer have.",
    "gcp_preemptible_2019": "GCP preemptible n1 machines (CPU), 2019, with the 24-hour limit that Spot machines no longer have.",
    "bamboo_ec2_p3": "One EC2 group of p3 machines, 11.4 hours (published 2023).",
    "bamboo_gcp_v100": "One GCP group of V100 machines, 24 hours, December 2021.",
}


def labels(experiment: Experiment, priced: str) -> list[str]:
    """A sentence each. `priced`: where the price ratio is from."""
    trace, plan = experiment.trace, experiment.plan
    found = [OF_KINDS[kind] for kind in dict.fromkeys(trace.kinds)]
    found += [text for name, text in OF_SHIPPED.items() if name in trace.name]
    if trace.span_s is not None and trace.span_s < 2 * plan.run_s:
        found.append(f"The trace is {trace.span_s / 3600:.1f} h long: runs go on at its beginning, and starts are not independent of each other.")
    found.append(f"Price: {priced}. Savings hold for this ratio, and for no region or date but those it is from.")
    found.append(
        "Saving is against on-demand machines for the same work, boots included. An unfinished run counts with the horizon "
        f"({plan.horizon_s / 3600:g} h), and the work that it left is bought on demand; no run is left out."
    )
    found.append("First hour: " + ("not billed where the cloud takes the machine (AWS)." if experiment.first_hour_free else "billed like any other."))
    if plan.one_pool:
        found.append("Each start has one pool of the trace, in turn.")
    elif plan.workload.deadline_s is None:
        found.append("P1 to P5 have one pool, another one each start, and a deadline of work / 0.8 (the paper's job fraction).")
    found.append(
        "P1 to P5 take work as a fluid that no interruption loses, only a changeover is paid: that flatters them where the notice "
        "leaves no time for a save."
    )
    found.append("C1, C2, and C4 without a usable notice, are given the trace's own mean time between interruptions, which nobody knows beforehand.")
    found.append("L1 to L6 and C0 to C4 are Spot only, start a replacement when the machine is gone, and know nothing of a deadline.")
    return found
