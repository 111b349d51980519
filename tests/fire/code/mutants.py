"""The runtime's code with one rule taken out of it, each as the text to replace. Names that the model has mean the same as there."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    name: str
    """Rules of the model joined by '+', or a name of its own for what the model leaves out."""
    file: str
    """Below `spotbatch/`."""
    old: str
    new: str


_UNDER = '(found.state, found.epoch, found.owner) != ("running", claim.epoch, claim.owner)'

MUTANTS = (
    Mutant("write_needs_running", "ledger.py", _UNDER, "(found.epoch, found.owner) != (claim.epoch, claim.owner)"),
    Mutant("write_needs_epoch", "ledger.py", _UNDER, '(found.state, found.owner) != ("running", claim.owner)'),
    Mutant("write_needs_owner", "ledger.py", _UNDER, '(found.state, found.epoch) != ("running", claim.epoch)'),
    Mutant("write_needs_epoch+write_needs_owner", "ledger.py", _UNDER, 'found.state != "running"'),
    Mutant("requeue_moves_epoch", "ledger.py", "epoch=task.epoch + 1, owner=None, attempts=attempts", "owner=None, attempts=attempts"),
    Mutant(
        "claim_is_conditional",
        "ledger.py",
        'if found is None or found.state != "queued":\n                raise Refused',
        "if found is None:\n                raise Refused",
    ),
    Mutant("claim_reads_own_record", "ledger.py", "if machine is None or not machine.may_claim(owner, self.store.now()):", "if machine is None:"),
    Mutant(
        "settle_moves_version",
        "settle.py",
        '            store.swap({**current, "version": expected + 1, "nonce": uuid.uuid4().hex}, expected)\n',
        "",
    ),
    Mutant(
        "settle_reads_back",
        "settle.py",
        "    except (Conflict, Ambiguous):\n        return _settle(store, wanted, expected, pause)",
        '    except (Conflict, Ambiguous):\n        raise Overtaken(record["key"]) from None',
    ),
    Mutant("settle_knows_its_own_write", "settle.py", 'if current is not None and current["nonce"] == wanted["nonce"]:', "if current is not None:"),
    Mutant("reap_compares_boot", "sweep.py", "if machine.boot != owner.boot:", "if False:"),
    Mutant("reap_compares_agent", "sweep.py", "if machine.agent != owner.agent:", "if machine.boot == owner.boot and False:"),
    Mutant("reap_counts_missing_as_gone", "sweep.py", 'return "the machine has no record"', 'return ""'),
    Mutant(
        "reap_swaps_on_version_read",
        "ledger.py",
        "            task = self._swap(seen, self._requeue(told, cause, why))\n        except Overtaken:\n            return None",
        """            import contextlib

            while True:
                with contextlib.suppress(Overtaken):
                    task = self._swap(self.task(seen.run, seen.id) or seen, self._requeue(told, cause, why))
                    break
        finally:
            pass""",
    ),
    Mutant("reap_heeds_the_deadline", "sweep.py", "if machine.deadline is not None and machine.deadline <= now:", "if False:"),
    Mutant("reap_heeds_the_lease", "sweep.py", "if now - machine.beat > machine.lease:", "if False:"),
    Mutant("reap_reads_the_task_again", "sweep.py", 'task = self.ledger.task(record["run"], record["task"])', "task = Task.from_record(record)"),
    Mutant("agent_takes_back", "agent.py", "                self._take_back()\n            else:\n", "            else:\n"),
    Mutant(
        "replaced_agent_takes_new_id",
        "agent.py",
        "self.id, self._registered, self._next_beat = uuid.uuid4().hex[:12], False,",
        "self._registered, self._next_beat = False,",
    ),
    Mutant("cause_from_record", "sweep.py", 'return "interrupted" if machine is not None and machine.leaves(owner) else "lost"', 'return "lost"'),
    Mutant("mark_compares_boot", "registry.py", "return None if found is None or found.registered + CLOCK_MARGIN > ends else found", "return found"),
    Mutant("beat_keeps_mark", "registry.py", "lambda found: replace(found, beat=", "lambda found: replace(known, version=found.version, beat="),
    Mutant(
        "the_earliest_deadline_stands",
        "registry.py",
        "deadline=min(deadlines) if deadlines else None",
        "deadline=deadlines[-1] if deadlines else None",
    ),
    Mutant("a_new_boot_starts_fresh", "registry.py", "if found is not None and found.boot == identity.boot:", "if found is not None:"),
    Mutant("a_new_agent_keeps_the_mark", "registry.py", "if found is not None and found.boot == identity.boot:", "if False and found is not None:"),
    Mutant(
        "sweep_rings_again",
        "sweep.py",
        'swept = self._reap(self.ledger.store.tasks_in("running"))\n        self._ring_again(swept)',
        'swept = self._reap(self.ledger.store.tasks_in("running"))',
    ),
    Mutant(
        "clean_up_by_epoch",
        "cleaning.py",
        "if key not in named and (epoch < task.epoch or (ended and epoch == task.epoch)):",
        "if key not in named and epoch <= task.epoch:",
    ),
    Mutant("clean_up_keeps_what_is_named", "cleaning.py", "if key not in named and (epoch < task.epoch", "if (epoch < task.epoch"),
    Mutant(
        "fallback_cuts_results",
        "ledger.py",
        "return replace(task, checkpoints=task.checkpoints[:index]), str(fault)",
        "return replace(task, checkpoints=(*task.checkpoints[:index], *task.checkpoints[index + 1 :])), str(fault)",
    ),
    Mutant(
        "read_back_before_done",
        "ledger.py",
        "        for checkpoint in claim.checkpoints:\n            verify(self._payload(checkpoint), checkpoint)\n        if claim",
        "        if claim",
    ),
    Mutant("a_payload_is_never_renamed", "ledger.py", "-{uuid.uuid4().hex[:8]}", ""),
    Mutant(
        "payload_before_record",
        "ledger.py",
        "            self.payloads.put(key, data)\n            entry = replace(entry, key=key)\n        return self._under(",
        """            entry = replace(entry, key=key)
            named = self._under(claim, lambda task: replace(task, checkpoints=(*names, entry)))
            self.payloads.put(key, data)
            return named
        return self._under(""",
    ),
    Mutant(
        "submit_is_conditional",
        "ledger.py",
        "if self.store.read(task.key) is not None:\n            return False\n",
        "if (there := self.task(task.run, task.id)) is not None:\n            task = replace(task, version=there.version)\n",
    ),
    Mutant(
        "silence_after_claim",
        "process.py",
        "        try:\n            claim = self.ledger.claim(bell.run",
        "        self._done_with(bell, leave=False)\n        try:\n            claim = self.ledger.claim(bell.run",
    ),
    Mutant(
        "ring_after_swap",
        "ledger.py",
        "        try:\n            told = replace(seen, traceback=why)",
        "        self.doorbell.ring(seen.run, seen.id)\n        try:\n            told = replace(seen, traceback=why)",
    ),
    Mutant("a_draining_worker_leaves_the_bell", "ledger.py", 'or not registered", leave_bell=True)', 'or not registered", leave_bell=False)'),
    Mutant(
        "interruptions_use_up_no_budget",
        "ledger.py",
        'or attempts["lost"] >= MAX_LOSSES',
        'or attempts["lost"] + attempts["interrupted"] >= MAX_LOSSES',
    ),
    Mutant(
        "a_store_error_is_no_damage",
        "ledger.py",
        "except Missing:\n            raise Damaged",
        "except (Missing, Exception):\n            raise Damaged",
    ),
)

EXPLAINED = {
    "write_needs_running": "epoch and owner say the same, as every way out of running moves the epoch and clears the owner",
    "write_needs_owner": "an epoch is claimed once; killed together with write_needs_epoch",
    "silence_after_claim": "a bell deleted too early is a bell lost, and the sweep rings again: only late",
    "reap_reads_the_task_again": "the swap on the version read refuses a stale listing; reading again finds in this sweep what the next would",
}
"""Mutants of the code that nothing kills, and why their rule stays."""
