"""The protocol of docs/protocol.md as a transition system: one task, two machines with one worker each, a handler with its sweep.

`steps(state, rules)` yields every step that can come next. Each write is its own step, so a crash may fall between any two. Time is left
out: a lease lapses when its agent is dead or asleep, and a deadline passes at any moment after the notice.
"""

from collections.abc import Iterator

from .rules import Rules
from .state import ITEMS, Machine, Record, State, Task, Worker, owner_of, progress, put, readable, spend


def resumed(state: State, claim: Task, rules: Rules) -> Worker:
    """A worker that has read its checkpoints back: it goes on after the last one that can be read."""
    names = readable(state, claim.list)
    at = progress(names)
    return Worker("running", claim._replace(list=names) if rules.fallback_cuts_results else claim, at, at)


def mine(state: State, claim: Task, rules: Rules) -> bool:
    """May a worker with this claim still write?"""
    task = state.task
    return (
        (task.state == "running" or not rules.write_needs_running)
        and (task.epoch == claim.epoch or not rules.write_needs_epoch)
        and (task.owner == claim.owner or not rules.write_needs_owner)
    )


def worker_write(state: State, m: int, new: Task, then: Worker, rules: Rules) -> State:
    """A worker's write under its claim: it lands, or the worker finds itself fenced and stops."""
    claim = state.workers[m].claim
    assert claim is not None
    if not mine(state, claim, rules):
        return state._replace(workers=put(state.workers, m, Worker("idle")))
    task = state.task
    if task.epoch != claim.epoch or task.owner != claim.owner or task.state != "running":
        state = state._replace(fault="a fenced worker changed the task")
    new = new._replace(version=task.version + 1)
    done = new.state == "done" and task.state != "done"
    # A claim that the worker holds from here on carries the version it wrote.
    kept = then._replace(claim=new) if then.claim is not None else then
    return state._replace(task=new, workers=put(state.workers, m, kept), completed=state.completed + done)


def requeued(state: State, task: Task, rules: Rules, cause: str, draining: bool) -> State:
    """The task queued again. Cause is checked against what the machine's record says."""
    if draining and cause != "interrupted":
        state = state._replace(fault=f"an interruption was booked as {cause}")
    new = Task("queued", task.epoch + rules.requeue_moves_epoch, None, task.list, state.task.version + 1)
    return state._replace(task=new)


def steps(state: State, rules: Rules) -> Iterator[tuple[str, bool, State]]:
    """(what happens, whether it is a fault, the state after)."""
    for m in range(len(state.machines)):
        yield from worker_steps(state, m, rules)
        yield from machine_steps(state, m, rules)
    yield from handler_steps(state, rules)
    yield from ether_steps(state)
    yield from world_steps(state, rules)


def worker_steps(state: State, m: int, rules: Rules) -> Iterator[tuple[str, bool, State]]:
    machine, worker, record, task = state.machines[m], state.workers[m], state.records[m], state.task
    if not machine.alive or machine.asleep:
        return

    def become(new: Worker, base: State = state) -> State:
        return base._replace(workers=put(base.workers, m, new))

    ready = record is not None and (record.boot, record.agent) == (machine.boot, machine.agent) and not record.draining and not record.past
    noticed = machine.told == machine.boot
    if worker.phase in ("idle", "bell") and noticed:
        if worker.phase == "bell":
            yield f"w{m} leaves the bell", False, become(Worker("idle"))
        return
    match worker.phase:
        case "idle" if state.bells:
            # The message stays in the queue, hidden; it is deleted after the claim.
            bells = state.bells - (not rules.silence_after_claim)
            yield f"w{m} hears a bell", False, become(Worker("bell"), state._replace(bells=bells))
        case "bell":
            if ready or not rules.claim_reads_own_record:
                late = "a machine went for a claim after its deadline" if record is not None and record.past else state.fault
                yield f"w{m} may claim", False, become(Worker("checked"), state._replace(fault=late))
            else:
                yield f"w{m} leaves the bell", False, become(Worker("idle"))
        case "checked":
            silenced = state._replace(bells=max(0, state.bells - 1)) if rules.silence_after_claim else state
            if task.state != "queued" and rules.claim_is_conditional:
                yield f"w{m} finds nothing to claim", False, become(Worker("idle"), silenced)
                return
            new = Task("running", task.epoch + 1, owner_of(state, m), task.list, task.version + 1)
            if task.state == "running":
                silenced = silenced._replace(fault="a running task was claimed")
            yield f"w{m} claims", False, become(resumed(state, new, rules), silenced._replace(task=new))
            if state.faults.late and len(state.ether) < 1:
                spent = spend(state, "late")
                write = (new, task.version)
                yield f"w{m} claims, no answer", True, become(Worker("settling", unsure=write), spent._replace(ether=(*spent.ether, write)))
        case "settling":
            assert worker.unsure is not None
            wanted, expected = worker.unsure
            if task == wanted:
                yield f"w{m} reads its claim back", False, become(resumed(state, wanted, rules))
            elif task.version == expected and rules.settle_moves_version:
                yield f"w{m} moves the version on", False, become(Worker("idle"), state._replace(task=task._replace(version=task.version + 1)))
            else:
                yield f"w{m} gives the claim up", False, become(Worker("idle"))
        case "running":
            assert worker.claim is not None
            claim = worker.claim
            if worker.at < ITEMS and not noticed:
                yield f"w{m} finishes an item", False, become(worker._replace(at=worker.at + 1))
            if worker.at > worker.base:
                sequence = 1 + max((name[1] for name in state.payloads if name[0] == claim.epoch), default=-1)
                payload = (claim.epoch, sequence, worker.base, worker.at)
                written = state._replace(payloads=state.payloads | {payload})
                yield f"w{m} writes a payload", False, become(worker._replace(phase="saved", wrote=payload), written)
            elif worker.at == ITEMS:
                if readable(state, claim.list) != claim.list and rules.read_back_before_done:
                    yield f"w{m} reads back, and goes back", False, become(resumed(state, claim, rules))
                else:
                    done = claim._replace(state="done", owner=None)
                    yield f"w{m} is done", False, worker_write(state, m, done, Worker("idle"), rules)
            elif noticed:
                given = claim._replace(state="queued", owner=None, epoch=claim.epoch + rules.requeue_moves_epoch)
                after = worker_write(state, m, given, Worker("idle"), rules)
                yield f"w{m} gives back", False, after._replace(bells=min(2, after.bells + 1)) if after.task.state == "queued" else after
        case "saved":
            assert worker.claim is not None and worker.wrote is not None
            new = worker.claim._replace(list=(*worker.claim.list, worker.wrote))
            yield f"w{m} points at the payload", False, worker_write(state, m, new, Worker("running", new, worker.at, worker.at), rules)


def machine_steps(state: State, m: int, rules: Rules) -> Iterator[tuple[str, bool, State]]:
    machine, worker, record, task = state.machines[m], state.workers[m], state.records[m], state.task
    faults = state.faults
    gone = state._replace(workers=put(state.workers, m, Worker("idle")))

    def with_machine(new: Machine, base: State = state) -> State:
        return base._replace(machines=put(base.machines, m, new))

    def with_record(new: Record | None, base: State = state) -> State:
        return base._replace(records=put(base.records, m, new))

    if machine.alive and not machine.asleep:
        if faults.crash:
            yield f"m{m} dies without a word", True, with_machine(machine._replace(alive=False), spend(gone, "crash"))
        if faults.sleep and worker.phase != "idle":
            yield f"m{m} falls asleep", True, with_machine(machine._replace(asleep=True), spend(state, "sleep"))
        if faults.restart:
            yield f"a{m} restarts", True, with_machine(machine._replace(agent=machine.agent + 1, process=0), spend(gone, "restart"))
        if faults.process and worker.phase != "idle":
            yield f"w{m} is killed", True, with_machine(machine._replace(process=machine.process + 1), spend(gone, "process"))
        if record is None or (record.boot, record.agent) != (machine.boot, machine.agent):
            # An agent that finds its record gone starts anew, under a new id and with new processes.
            agent = machine.agent + (record is None and rules.replaced_agent_takes_new_id)
            same = record is not None and record.boot == machine.boot
            fresh = Record(machine.boot, agent, same and record is not None and record.draining, same and record is not None and record.past)
            yield f"a{m} registers", False, with_record(fresh, with_machine(machine._replace(agent=agent), gone))
        elif record.draining and machine.told != machine.boot:
            if rules.beat_keeps_mark:
                yield f"a{m} hears of its mark", False, with_machine(machine._replace(told=machine.boot))
            else:
                yield (
                    f"a{m} beats over its mark",
                    False,
                    with_record(record._replace(draining=False, past=False))._replace(fault="a mark was overwritten"),
                )
        held = task.state == "running" and task.owner is not None and task.owner[:3] == (m, machine.boot, machine.agent)
        if held and rules.agent_takes_back and task.owner is not None:
            live = task.owner[3] == machine.process
            if not live and record is not None:
                cause = "interrupted" if record.draining and rules.cause_from_record else "failed"
                after = requeued(state, task, rules, cause, record.draining)
                yield f"a{m} takes back", False, after._replace(bells=min(2, after.bells + 1))
        if machine.told == machine.boot and record is not None and not (record.draining and record.past):
            if faults.survive:
                yield (
                    f"m{m} outlives its deadline",
                    True,
                    with_record(record._replace(past=record.draining), spend(with_machine(machine._replace(told=-1)), "survive")),
                )
            yield (
                f"m{m} is taken at its deadline",
                False,
                with_record(record._replace(past=record.draining), with_machine(machine._replace(alive=False), gone)),
            )
    elif machine.alive:
        yield f"m{m} wakes", False, with_machine(machine._replace(asleep=False))
    elif not any(other.alive and other.told != other.boot for other in state.machines):
        # Whoever asked for machines gets new ones; under the same id, so that the model stays small.
        yield f"m{m} is replaced", False, with_machine(Machine(True, machine.boot + 1, 0, 0, False, -1))
    elif faults.reboot:
        yield f"m{m} boots again", True, with_machine(Machine(True, machine.boot + 1, 0, 0, False, -1), spend(state, "reboot"))
    if faults.notice and machine.alive and machine.told < 0:
        spent = spend(state, "notice")
        told = with_machine(machine._replace(told=machine.boot), spent)
        yield f"m{m} is noticed", True, told._replace(events=told.events | {(m, machine.boot)})
        yield f"m{m} is noticed, machine blind", True, spent._replace(events=spent.events | {(m, machine.boot)})
        yield f"m{m} is noticed, event lost", True, told
    if faults.forget and record is not None and (machine.asleep or not machine.alive):
        yield f"the record of m{m} is tidied away", True, with_record(None, spend(state, "forget"))


def handler_steps(state: State, rules: Rules) -> Iterator[tuple[str, bool, State]]:
    for m, boot in state.events:
        record = state.records[m]
        spent = state._replace(events=state.events - {(m, boot)})
        ours = record is not None and (record.boot == boot or not rules.mark_compares_boot)
        if ours and record is not None:
            marked = spent._replace(records=put(spent.records, m, record._replace(draining=True)))
            if record.boot != boot:
                marked = marked._replace(fault="a fresh boot was drained")
            yield f"h marks m{m}", False, marked
        else:
            yield f"h ignores the event of m{m}", False, spent
        if state.faults.double:
            yield f"the event of m{m} comes again", True, spend(state, "double")._replace(events=state.events)
    phase, seen, cause = state.handler
    idle = state._replace(handler=("idle", None, ""))
    if phase != "idle" and state.faults.handler:
        yield "h dies", True, spend(idle, "handler")
    match phase:
        case "idle":
            if state.task.state == "running":
                yield "h reads the task", False, state._replace(handler=("read", state.task, ""))
            elif state.task.state == "queued" and not state.bells and rules.sweep_rings_again:
                yield "h rings again", False, state._replace(bells=1)
        case "read":
            assert seen is not None and seen.owner is not None
            m, boot, agent, _ = seen.owner
            record, machine = state.records[m], state.machines[m]
            if record is None:
                gone = rules.reap_counts_missing_as_gone
            else:
                silent = not machine.alive or machine.asleep
                # Stood still for a lease: only while nobody beats in the record's name.
                silent = silent or (record.boot, record.agent) != (machine.boot, machine.agent)
                gone = (
                    (record.boot != boot and rules.reap_compares_boot)
                    or (record.agent != agent and rules.reap_compares_agent)
                    or silent
                    or (record.draining and record.past)
                )
            if gone:
                draining = record is not None and record.boot == boot and record.draining
                cause = "interrupted" if draining and rules.cause_from_record else "lost"
                before = state._replace(bells=min(2, state.bells + 1)) if not rules.ring_after_swap else state
                wrong = draining and cause != "interrupted"
                yield (
                    "h judges it gone",
                    False,
                    before._replace(handler=("reap", seen, cause), fault="an interruption was booked as lost" if wrong else state.fault),
                )
            else:
                yield "h finds it alive", False, idle
        case "reap":
            assert seen is not None
            if state.task.version == seen.version or not rules.reap_swaps_on_version_read:
                if state.task.state == "done":
                    idle = idle._replace(fault="a finished task was queued again")
                if progress(seen.list) < progress(state.task.list):
                    idle = idle._replace(fault="progress went back further than the last checkpoint")
                new = Task("queued", seen.epoch + rules.requeue_moves_epoch, None, seen.list, state.task.version + 1)
                after = idle._replace(task=new)
                if rules.ring_after_swap:
                    after = after._replace(handler=("ring", None, ""))
                yield "h queues it again", False, after
            else:
                yield "h lost the race", False, idle
        case "ring":
            yield "h rings", False, idle._replace(bells=min(2, state.bells + 1))


def ether_steps(state: State) -> Iterator[tuple[str, bool, State]]:
    for index, (new, expected) in enumerate(state.ether):
        rest = state._replace(ether=state.ether[:index] + state.ether[index + 1 :])
        if state.task.version == expected:
            yield "a late write lands", False, rest._replace(task=new)
        yield "a late write is lost", False, rest


def world_steps(state: State, rules: Rules) -> Iterator[tuple[str, bool, State]]:
    faults, task = state.faults, state.task
    if faults.lose and state.bells:
        yield "a bell is lost", True, spend(state, "lose")._replace(bells=state.bells - 1)
    if faults.double and 0 < state.bells < 2:
        yield "a bell is doubled", True, spend(state, "double")._replace(bells=state.bells + 1)
    if faults.damage:
        for payload in task.list:
            if payload not in state.damaged and task.state != "done":
                yield "a payload is damaged", True, spend(state, "damage")._replace(damaged=state.damaged | {payload})
    if faults.resubmit:
        again = spend(state, "resubmit")
        again = again._replace(bells=min(2, state.bells + 1))
        if not rules.submit_is_conditional:
            again = again._replace(task=Task("queued", 0, None, (), task.version + 1))
        yield "the run is submitted again", True, again
    if faults.clean:
        for payload in state.payloads - set(task.list):
            if not rules.clean_up_by_epoch or payload[0] < task.epoch or task.state == "done":
                yield "clean-up removes a payload", True, spend(state, "clean")._replace(payloads=state.payloads - {payload})
