"""Auto Scaling groups, as the interruption handler sees them. A Spot Fleet has no such calls."""

from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from spotbatch.clouds.aws_client import code_of, trouble


class AutoScalingPool:
    """Detaches machines and ends the wait of terminate hooks, in these groups only. The client is made at the first use."""

    def __init__(self, client: Callable[[], Any], groups: Sequence[str]) -> None:
        self._make, self._groups = client, groups
        self._made: Any = None

    def detach(self, machine: str) -> bool:
        """Take the machine out of its group, whose size stays, so that the replacement starts now; False if it is in none. Raises StoreError."""
        wish = {"InstanceIds": [machine], "ShouldDecrementDesiredCapacity": False}
        return any(self._done("DetachInstances", group, **wish) for group in self._groups)

    def complete(self, machine: str, hook: dict[str, str]) -> bool:
        """Let the group go on; False where it no longer waits, or is not one of these. Raises StoreError."""
        if hook.get("group") not in self._groups:
            return False
        answer = {"LifecycleHookName": hook["hook"], "InstanceId": machine, "LifecycleActionResult": "CONTINUE"}
        return self._done("CompleteLifecycleAction", hook["group"], **answer)

    def _done(self, action: str, group: str, **arguments: Any) -> bool:
        if self._made is None:
            self._made = self._make()
        call = {"DetachInstances": "detach_instances", "CompleteLifecycleAction": "complete_lifecycle_action"}[action]
        try:
            getattr(self._made, call)(AutoScalingGroupName=group, **arguments)
            return True
        except (ClientError, BotoCoreError) as fault:
            # Not in this group, not in service any more, or no action is open: somebody was faster.
            if code_of(fault) == "ValidationError":
                return False
            raise trouble(fault, f"autoscaling:{action}", f"group {group}") from None
