"""The agent of `spotbatch run`: one worker process, one task, and an end once the command is led out."""

from spotbatch.agent import Agent
from spotbatch.log import say
from spotbatch.program import Program
from spotbatch.program_process import read_status
from spotbatch.protocols import Host
from spotbatch.registry import Registry
from spotbatch.shared_machine import PLACES, SharedMachine
from spotbatch.sole_agent import AnotherAgent

OUTLIVED_SECONDS = 60.0
"""A machine that still runs so long after its deadline was not taken: whoever started the program goes on."""


class ProgramAgent(Agent):
    """`run` returns 0 when the program has ended, 143 when it was interrupted.

    After an interruption it stays until the machine goes: what is started next could not work there, and a machine that ends itself is
    billed, while AWS does not bill a first hour that it cuts short itself.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/billing-for-interrupted-spot-instances.html
    """

    process_module = "spotbatch.program_process"

    def __init__(self, queue: str, program: Program, host: Host, lease: float) -> None:
        super().__init__(queue, program.to_text(), host, lease=lease, until_empty=True)

    @staticmethod
    def beside_others(queue: str, program: Program, host: Host, lease: float, registry: Registry) -> "ProgramAgent":
        """In the first free place of the machine. Raises AnotherAgent when there is none."""
        for place in range(PLACES):
            try:
                return ProgramAgent(queue, program, SharedMachine(host, queue, registry, place), lease)
            except AnotherAgent:
                continue
        raise AnotherAgent(f"{PLACES} agents work on {queue} on this machine already, which is as many as may")

    @property
    def status(self) -> int | None:
        """The command's exit status, if it ended by itself and here."""
        return read_status(self.board.descriptor)

    def _tell_drained(self) -> None:
        super()._tell_drained()
        if self.identity.spot and self.notice is not None and self.notice.kind == "interruption":
            say("stays until the machine goes")
        else:
            # Whoever called wants to go on, also on a machine that lives a little longer.
            self._terminated = True

    def _lead_out(self, now: float) -> None:
        super()._lead_out(now)
        self._terminated = self._terminated or now > self.board.board.deadline + OUTLIVED_SECONDS
