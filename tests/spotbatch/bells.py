"""A doorbell that remembers what was rung."""

from spotbatch.protocols import Bell


class Bells:
    def __init__(self) -> None:
        self.rung: list[tuple[str, str]] = []

    def ring(self, run: str, task: str) -> None:
        self.rung.append((run, task))

    def wait(self, seconds: float) -> Bell | None:
        return Bell(*self.rung.pop(0)) if self.rung else None

    def silence(self, bell: Bell) -> None:
        pass

    def leave(self, bell: Bell) -> None:
        self.rung.append((bell.run, bell.task))
