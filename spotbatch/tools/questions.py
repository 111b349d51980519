"""The questions of docs/fit.md, as `spotbatch check` answers them from what it saw of a job."""

from dataclasses import dataclass, field
from typing import Any, Literal

from spotbatch.drain import margin
from spotbatch.notice import Notice
from spotbatch.tools.trial import State, Trial

Answer = Literal["yes", "change", "no"]

GCP_NOTICE = 30.0
"""https://cloud.google.com/compute/docs/instances/spot: 30 s, or 120 s where that is asked for."""


@dataclass(frozen=True)
class Question:
    """One question, its answer, what was seen, and what to change."""

    name: str
    answer: Answer
    seen: str
    change: str = ""


@dataclass
class Speed:
    """How quickly a queue's bucket takes payloads."""

    latency: float
    """Seconds for a small one."""
    bytes_per_second: float

    def seconds(self, size: float) -> float:
        return self.latency + size / self.bytes_per_second


@dataclass
class Seen:
    """All that was seen of a job."""

    trials: list[Trial]
    """From nothing, the same once more, and from the middle with the state saved there."""
    numbers: list[int]
    """The line of each sampled item in the items file, counted from 1."""
    items_total: int
    notice: float
    speed: Speed
    questions: list[Question] = field(default_factory=list)

    @property
    def first(self) -> Trial:
        return self.trials[0]

    def line(self, item: int) -> str:
        return f"line {self.numbers[item]}"


def ask(seen: Seen) -> list[Question]:
    """Every question that what was seen can answer, the gravest obstacle first where later ones cannot be asked."""
    first = seen.first
    if first.not_started:
        return [Question("starts", "no", f"setup raises: {first.not_started}", "mend setup, or run the check where the job can run")]
    if first.not_restored:
        return [Question("starts", "no", f"restore_state(None) raises: {first.not_restored}", "None means: begin with the task's first item")]
    started = Question("starts", "yes", "it is imported, set up and begins with no state")
    if not first.seconds:
        return [started, Question("ends", "no", f"no item ends: {_some(seen, first.faults)}", "mend the job")]
    return [started, _ends(seen), _results(seen), _repeats(seen), _resumes(seen), _longest(seen), _saves(seen)]


def verdict(questions: list[Question]) -> Answer:
    answers = {question.answer for question in questions}
    return "no" if "no" in answers else "change" if "change" in answers else "yes"


def _ends(seen: Seen) -> Question:
    faults = seen.first.faults
    tried = len(seen.first.seconds.keys() | faults.keys())
    if not faults:
        return Question("ends", "yes", f"{tried} of {tried} items end without a fault")
    answer = "no" if len(faults) == tried else "change"
    advice = "mend the job for these items, or let process_item return what went wrong: three failures end a task"
    return Question("ends", answer, f"{len(faults)} of {tried} items fail: {_some(seen, faults)}", advice)


def _results(seen: Seen) -> Question:
    first = seen.first
    if first.bad_results:
        return Question(
            "results", "change", f"JSON cannot hold {_some(seen, first.bad_results)}", "return numbers, texts, lists and dicts; or nothing"
        )
    sizes = [len(text) for text in first.results.values()]
    mean = sum(sizes) / len(sizes) if sizes else 0.0
    save, whole = seen.speed.seconds(mean * first.checkpoint_items), _size(mean * seen.items_total)
    told = f"{_size(mean)} an item on average, {_size(max(sizes, default=0))} at most, about {whole} for all {seen.items_total:,} items"
    if save > _margin(seen.notice):
        advice = "write what an item makes to a bucket of your own, named by the item, and return the name"
        return Question("results", "change", f"{told}; those of one checkpoint take {save:.1f} s to write", advice)
    return Question("results", "yes", told)


def _repeats(seen: Seen) -> Question:
    first, second = seen.first, seen.trials[1]
    broken = {item: why for item, why in second.faults.items() if item not in first.faults}
    other = {
        item: f"{_short(text)}, then {_short(second.results.get(item, 'nothing'))}"
        for item, text in first.results.items()
        if _differs(second, item, text)
    }
    if broken:
        advice = "let an item bear what an earlier, broken-off one left behind: write under a name made of the item, replace what is there"
        return Question("repeats", "change", f"done a second time {len(broken)} items fail: {_some(seen, broken)}", advice)
    if other:
        advice = "results appear once all the same; but whatever else an item does must not depend on time, chance or how often it ran"
        return Question("repeats", "change", f"done a second time {len(other)} items give something else: {_some(seen, other)}", advice)
    return Question("repeats", "yes", f"{len(first.results)} items give the same when they are done again in another process")


def _differs(second: Trial, item: int, text: str) -> bool:
    return item not in second.faults and second.results.get(item) != text


def _resumes(seen: Seen) -> Question:
    if seen.first.bad_state:
        return Question("resumes", "change", seen.first.bad_state, "save_state returns bytes, or None for no state")
    if len(seen.numbers) < 2:
        return Question("resumes", "yes", "one item only: there is no middle to go on from")
    if len(seen.trials) < 3:
        return Question("resumes", "change", "cannot be told: the job ended before the middle of the sample", "see above")
    first, second, third = seen.trials
    middle = len(seen.numbers) // 2
    saved = first.midway and first.midway.data is not None
    advice = "keep in save_state whatever an item needs of those before it, and take it back in restore_state"
    if third.not_restored or third.not_started:
        return Question("resumes", "change", f"restore_state cannot take what save_state gave: {third.not_restored or third.not_started}", advice)
    same = {item: text for item, text in first.results.items() if item >= middle and not _differs(second, item, text)}
    other = {
        item: f"{_short(text)}, then {_short(third.results.get(item - middle, 'nothing'))}"
        for item, text in same.items()
        if _differs(third, item - middle, text)
    }
    if other:
        how = "with its saved state" if saved else "in a new process, and it saves no state,"
        return Question("resumes", "change", f"begun in the middle {how} it gives something else: {_some(seen, other)}", advice)
    if not saved:
        return Question("resumes", "yes", "it needs no state: begun in the middle, in a new process, it gives the same")
    return Question("resumes", "yes", f"from its state in the middle it gives the same; taken back in {_seconds(third.restore_seconds)}")


def _longest(seen: Seen) -> Question:
    item, longest = max(seen.first.seconds.items(), key=lambda one: one[1])
    left = seen.notice - _margin(seen.notice)
    told = f"{_seconds(longest)} for the longest of {len(seen.first.seconds)} items ({seen.line(item)})"
    advice = "cut items smaller, or let the job save within one: docs/any-program.md"
    if longest > seen.notice:
        return Question("longest", "no", f"{told}, and a notice of {seen.notice:g} s: an interruption throws such an item away, always", advice)
    if longest > left:
        return Question("longest", "change", f"{told}; of a notice of {seen.notice:g} s it may have {left:g} s", advice)
    short = GCP_NOTICE - _margin(GCP_NOTICE)
    gcp = f"; too long for GCP's 30 s, which leave {short:g} s" if seen.notice > GCP_NOTICE and longest > short else ""
    return Question("longest", "yes", f"{told}; a notice of {seen.notice:g} s leaves {left:g} s{gcp}")


def _saves(seen: Seen) -> Question:
    states = [state for state in (seen.first.midway, seen.first.last) if state is not None]
    if not states:
        return Question("saves", "change" if seen.first.bad_state else "yes", "the state could not be saved" if seen.first.bad_state else "no state")
    largest = max(states, key=lambda state: state.size)
    slowest = max(state.seconds for state in states)
    # As text in the payload; then the record that names it.
    save = slowest + seen.speed.seconds(_encoded(largest)) + seen.speed.latency
    what = f"a state of {_size(largest.size)}" if largest.size else "a checkpoint, without a state,"
    told = f"{what} takes {_seconds(save)} to save, at {_size(seen.speed.bytes_per_second)}/s from here"
    allowed = _margin(seen.notice)
    advice = "save less: only what cannot be made again, or the name of what is in a bucket already"
    if save > seen.notice:
        return Question("saves", "no", f"{told}: longer than the notice of {seen.notice:g} s", advice)
    if save > allowed:
        return Question("saves", "change", f"{told}; a notice of {seen.notice:g} s leaves {allowed:g} s for it after an item", advice)
    return Question("saves", "yes", f"{told}; a notice of {seen.notice:g} s leaves {allowed:g} s for it")


def _encoded(state: State) -> float:
    return state.size * 4 / 3


def _margin(notice: float) -> float:
    return margin(Notice("", "interruption", 0.0, notice))


def _some(seen: Seen, by_item: dict[int, str]) -> str:
    """The first few, each with its line."""
    shown = [f"{seen.line(item)}: {text}" for item, text in sorted(by_item.items())[:3]]
    return "; ".join(shown) + (" ..." if len(by_item) > len(shown) else "")


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds:.1f} s"


def _size(size: float) -> str:
    for unit in ("bytes", "KB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def to_json(questions: list[Question]) -> list[dict[str, Any]]:
    return [{"question": one.name, "answer": one.answer, "seen": one.seen, "change": one.change} for one in questions]
