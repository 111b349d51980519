"""How many faults of each kind the explorer lets happen; within these it goes to the end."""

from .state import Faults

BOUNDS = {
    "bells lost, doubled; submitted twice": Faults(lose=1, double=2, resubmit=1),
    "a machine dies, another is announced": Faults(crash=1, notice=1),
    "a notice, and the machine back under its old id": Faults(notice=1, reboot=1),
    "a notice, and the machine outlives its deadline": Faults(notice=1, survive=1),
    "a notice, and a worker process is killed": Faults(notice=1, process=1),
    "a write without an answer, a process killed": Faults(late=1, process=1),
    "an agent restarts, a process is killed": Faults(restart=1, process=1),
    "a payload damaged, a machine dies": Faults(damage=1, crash=1),
    "a machine sleeps past its lease, another dies, clean-up": Faults(sleep=1, crash=1, clean=1),
    "a machine sleeps, its record is tidied away, another dies": Faults(sleep=1, crash=1, forget=1),
    "the handler dies between two steps, a machine dies, a bell is lost": Faults(handler=1, crash=1, lose=1),
    "a machine sleeps, a write has no answer, submitted twice": Faults(sleep=1, late=1, resubmit=1),
    "two machines die and come back, the handler dies twice, a bell is lost": Faults(crash=2, handler=2, lose=1),
    "two deaths, clean-up twice": Faults(crash=2, clean=2),
    "two writes without an answer": Faults(late=2),
    "two worker processes killed": Faults(process=2),
    "two restarts of agents": Faults(restart=2),
}
"""Explored with every change. What may go wrong in a run, and how often."""

LONG = {
    "two payloads damaged, two deaths": Faults(damage=2, crash=2),
    "two notices": Faults(notice=2),
    "two sleepers": Faults(sleep=2),
    "a notice, a death, a worker process killed": Faults(notice=1, crash=1, process=1),
    "a notice, a sleeper, a write without an answer": Faults(notice=1, sleep=1, late=1),
}
"""Minutes each: `python -m tests.fire`."""
