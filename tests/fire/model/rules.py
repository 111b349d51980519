"""The rules of the runtime's protocol, one switch each. A mutant is the protocol with one rule taken out."""

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class Rules:
    """True: as the runtime does it. The comment says what a mutant does instead."""

    write_needs_running: bool = True  # a worker's write passes although the task is queued again
    write_needs_epoch: bool = True  # a worker's write passes under somebody else's epoch
    write_needs_owner: bool = True  # a worker's write passes under somebody else's ownership
    requeue_moves_epoch: bool = True  # queued again under the epoch it ran with
    claim_is_conditional: bool = True  # a claim is a blind put
    claim_reads_own_record: bool = True  # a machine that is draining or past its deadline claims
    settle_moves_version: bool = True  # a write without an answer is read back once, and given up
    reap_compares_boot: bool = True  # a machine back under its old id keeps what its old boot held
    reap_compares_agent: bool = True  # a restarted agent keeps what its predecessor held
    replaced_agent_takes_new_id: bool = True  # an agent that finds its record gone goes on under its old id
    reap_counts_missing_as_gone: bool = True  # a machine without a record is taken for healthy
    reap_swaps_on_version_read: bool = True  # reap writes over whatever happened since it read
    agent_takes_back: bool = True  # tasks of a dead child stay running under a living agent
    cause_from_record: bool = True  # a death on a draining machine is booked as a loss or a failure
    mark_compares_boot: bool = True  # a late event drains the machine's next boot
    beat_keeps_mark: bool = True  # a beat is a blind put over the handler's mark
    sweep_rings_again: bool = True  # a bell that is lost stays lost
    clean_up_by_epoch: bool = True  # an old payload that the record does not name is removed, whatever its epoch
    fallback_cuts_results: bool = True  # a damaged checkpoint is skipped, and results after it are kept
    read_back_before_done: bool = True  # done without reading the payloads
    submit_is_conditional: bool = True  # a repeated submit writes the tasks anew
    silence_after_claim: bool = True  # the bell is deleted before the claim
    ring_after_swap: bool = True  # the bell rings before the task is queued


NAMES = tuple(field.name for field in fields(Rules))


def without(*names: str) -> Rules:
    """The mutant that lacks these rules."""
    return replace(Rules(), **dict.fromkeys(names, False))
