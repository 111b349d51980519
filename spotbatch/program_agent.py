"""The agent of `spotbatch run`: one worker process, one task, and an end once the command is led out."""

from spotbatch.agent import Agent
from spotbatch.program import Program
from spotbatch.program_process import read_status
from spotbatch.protocols import Host


class ProgramAgent(Agent):
    """`run` returns 0 when the program has ended, 143 when it was interrupted."""

    process_module = "spotbatch.program_process"

    def __init__(self, queue: str, program: Program, host: Host, lease: float) -> None:
        super().__init__(queue, program.to_text(), host, lease=lease, until_empty=True)

    @property
    def status(self) -> int | None:
        """The command's exit status, if it ended by itself and here."""
        return read_status(self.board.descriptor)

    def _tell_drained(self) -> None:
        """Whoever called wants to go on, also on a machine that lives a little longer."""
        super()._tell_drained()
        self._terminated = True
