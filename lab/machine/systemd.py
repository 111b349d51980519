"""The part of systemd that user data talks to through `systemctl`."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from lab.machine.service import Service
from lab.machine.unit_file import BadUnit, read_unit

Answer = tuple[int, str]
"""What a `systemctl` command exits with and prints."""


class Systemd:
    """Keeps the services of one machine. Units are read from `etc/systemd/system` under its root.

    Understands start, stop, restart, enable, disable (each with --now), daemon-reload, status, is-active, is-enabled, poweroff.
    Does not prove: dependencies, sockets, timers, users, sandboxing, cgroup limits.
    """

    def __init__(self, root: Path, environment: dict[str, str], log: Callable[[str], None], power_off: Callable[[], None]) -> None:
        self._units = root / "etc" / "systemd" / "system"
        self._environment = environment
        self._log = log
        self._power_off = power_off
        self._services: dict[str, Service] = {}
        self._enabled: set[str] = set()

    async def command(self, arguments: list[str]) -> Answer:
        """Do what `systemctl ARGUMENTS` does."""
        flags = {word for word in arguments if word.startswith("-")}
        words = [word for word in arguments if not word.startswith("-")]
        if not words:
            return (
                1,
                "systemctl: no command; the lab knows start, stop, restart, enable, disable, daemon-reload, status, is-active, is-enabled, poweroff",
            )
        verb, names = words[0], [word.removesuffix(".service") for word in words[1:]]
        match verb:
            case "daemon-reload":
                return (0, "")
            case "poweroff" | "halt":
                self._power_off()
                return (0, "")
            case "enable" | "disable" | "start" | "stop" | "restart" | "status" | "is-active" | "is-enabled":
                answers = [await self._one(verb, name, flags) for name in names]
                return max((code for code, _ in answers), default=1), "\n".join(text for _, text in answers if text)
        return 1, f"Unknown command verb {verb} (the lab's systemctl knows only what batch machines need)"

    def main_pids(self) -> set[int]:
        """Processes that a service of ours waits for."""
        return {service.main.pid for service in self._services.values() if service.main is not None}

    async def stop_all(self) -> None:
        """Stop every service at once, as a shutdown does."""
        await asyncio.gather(*(service.stop() for service in self._services.values()))

    async def _one(self, verb: str, name: str, flags: set[str]) -> Answer:
        path = self._units / f"{name}.service"
        if name not in self._services and not path.exists():
            missing = f"Unit {name}.service could not be found." if verb == "status" else f"Unit file {name}.service does not exist."
            return 4 if verb == "status" else 1, missing
        service = self._services.get(name)
        match verb:
            case "is-active":
                state = service.state if service else "inactive"
                return 0 if state == "active" else 3, state
            case "is-enabled":
                return 0 if name in self._enabled else 1, "enabled" if name in self._enabled else "disabled"
            case "status":
                state = service.state if service else "inactive"
                pid = f"\n   Main PID: {service.main.pid}" if service and service.main else ""
                return 0 if state == "active" else 3, f"{name}.service\n     Active: {state}{pid}"
            case "enable":
                self._enabled.add(name)
                return await self._start(name, path) if "--now" in flags else (0, "")
            case "disable":
                self._enabled.discard(name)
                if "--now" not in flags:
                    return (0, "")
        if service is not None and verb in ("stop", "disable", "restart"):
            await service.stop()
        return await self._start(name, path) if verb in ("start", "restart") else (0, "")

    async def _start(self, name: str, path: Path) -> Answer:
        service = self._services.get(name)
        try:
            if service is None or service.state in ("inactive", "failed"):
                unit = read_unit(path)
                for directive in unit.ignored:
                    self._log(f"systemd: {name}: {directive} has no effect in the lab")
                service = self._services[name] = Service(unit, self._environment, self._log, self._power_off)
                service.start()
            if service.unit.type == "oneshot":
                status = await service.finished()
                return (0 if status in service.unit.success_statuses else 1, "")
        except (BadUnit, OSError) as fault:
            self._log(f"systemd: {fault}")
            return 1, f"Failed to start {name}.service: {fault}"
        return (0, "")
