"""Terminate hooks: a group asks before it ends a machine, and waits for the answer."""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lab.cloud.market import emulator
from lab.cloud.market.auto_scaling_group import Group
from lab.cloud.market.instance import Instance
from lab.cloud.market.query import Refusal

TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"


@dataclass
class _Waiting:
    """An instance whose group waits for its hooks."""

    group: Group
    instance: Instance
    over: Callable[[], None]
    tokens: dict[str, str]
    """Hook name -> token of the open action."""
    timers: dict[str, asyncio.TimerHandle] = field(default_factory=dict)


class LifecycleActions:
    """Opens one action per terminate hook, tells EventBridge, and lets go when all are completed or have timed out.

    Does not prove: launch hooks, notification targets (SNS, SQS), the cap of 48 hours.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, _Waiting] = {}

    def ask(self, group: Group, instance: Instance, over: Callable[[], None]) -> None:
        """Run the group's terminate hooks for an instance; `over` is called once, at once if there are none."""
        hooks = [hook for hook in group.hooks.values() if hook["LifecycleTransition"] == TERMINATING]
        if not hooks:
            over()
            return
        self._waiting[instance.id] = waiting = _Waiting(group, instance, over, {hook["LifecycleHookName"]: str(uuid.uuid4()) for hook in hooks})
        for hook in hooks:
            name = hook["LifecycleHookName"]
            self._start_timer(waiting, name)
            detail = {
                "LifecycleActionToken": waiting.tokens[name],
                "AutoScalingGroupName": group.name,
                "LifecycleHookName": name,
                "EC2InstanceId": instance.id,
                "LifecycleTransition": TERMINATING,
                "Origin": "AutoScalingGroup",
                "Destination": "EC2",
            }
            emulator.publish("aws.autoscaling", "EC2 Instance-terminate Lifecycle Action", detail, [group.arn])

    def complete(self, request: dict[str, Any]) -> None:
        """CompleteLifecycleAction. Raises Refusal if no such action is open."""
        waiting, name = self._find(request)
        self._close(waiting, name)

    def heartbeat(self, request: dict[str, Any]) -> None:
        """RecordLifecycleActionHeartbeat: the time-out starts again."""
        waiting, name = self._find(request)
        waiting.timers[name].cancel()
        self._start_timer(waiting, name)

    def forget(self, instance_id: str) -> None:
        """The machine has gone without waiting for anybody."""
        if (waiting := self._waiting.pop(instance_id, None)) is not None:
            for timer in waiting.timers.values():
                timer.cancel()

    def _find(self, request: dict[str, Any]) -> tuple[_Waiting, str]:
        name, token, instance_id = request["LifecycleHookName"], request.get("LifecycleActionToken"), request.get("InstanceId")
        for waiting in self._waiting.values():
            if (
                waiting.group.name == request["AutoScalingGroupName"]
                and name in waiting.tokens
                and (waiting.instance.id == instance_id or waiting.tokens[name] == token)
            ):
                return waiting, name
        raise Refusal("ValidationError", f"No active Lifecycle Action found with {f'instance ID {instance_id}' if instance_id else f'token {token}'}")

    def _start_timer(self, waiting: _Waiting, name: str) -> None:
        # Both results, CONTINUE and ABANDON, end the instance when it is terminating.
        seconds = waiting.group.hooks[name]["HeartbeatTimeout"]
        waiting.timers[name] = asyncio.get_running_loop().call_later(seconds, self._close, waiting, name)

    def _close(self, waiting: _Waiting, name: str) -> None:
        if waiting.tokens.pop(name, None) is not None:
            waiting.timers.pop(name).cancel()
        if not waiting.tokens and self._waiting.pop(waiting.instance.id, None) is not None:
            waiting.over()
