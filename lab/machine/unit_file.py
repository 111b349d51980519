"""Read a systemd service unit: the part of the format that a batch worker needs."""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

_SECONDS = {
    "": 1.0,
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "m": 60.0,
    "min": 60.0,
    "minute": 60.0,
    "minutes": 60.0,
    "h": 3600.0,
    "hr": 3600.0,
    "d": 86400.0,
}
_IGNORED = {
    "Unit": {"Description", "Documentation", "After", "Before", "Wants", "Requires", "ConditionPathExists"},
    "Service": {
        "User",
        "Group",
        "StandardOutput",
        "StandardError",
        "SyslogIdentifier",
        "OOMScoreAdjust",
        "OOMPolicy",
        "LimitNOFILE",
        "TasksMax",
        "TimeoutStartSec",
        "Nice",
        "UMask",
    },
    "Install": {"WantedBy", "RequiredBy", "Also"},
}
"""Directives that change nothing here: one user, one unit, output in the console log. Hardening directives are ignored with a line in that log."""


class BadUnit(ValueError):
    """A unit that systemd would refuse to load; the text names file, directive and value."""


@dataclass(frozen=True)
class UnitFile:
    """A service as its file describes it; defaults are systemd's own (systemd.service(5), systemd.kill(5))."""

    name: str
    command: tuple[str, ...]
    type: str = "simple"
    environment: dict[str, str] = field(default_factory=dict)
    environment_files: tuple[str, ...] = ()
    """Paths; a leading `-` means that the file may be missing."""
    working_directory: str = "/"
    restart: str = "no"
    restart_seconds: float = 0.1
    restart_prevented_by: frozenset[int] = frozenset()
    success_statuses: frozenset[int] = frozenset({0})
    start_limit_seconds: float = 10.0
    start_limit_burst: int = 5
    start_limit_action: str = "none"
    stop_seconds: float = 90.0
    kill_mode: str = "control-group"
    kill_signal: str = "SIGTERM"
    ignored: tuple[str, ...] = ()
    """Directives that the lab does not act on."""


def seconds(text: str, where: str) -> float:
    """A time span as systemd writes it: `90`, `1min 30s`, `infinity`. Raises BadUnit."""
    if text.strip() == "infinity":
        return float("inf")
    parts = re.findall(r"([0-9.]+)\s*([a-z]*)", text)
    if not parts or re.sub(r"[0-9.]+\s*[a-z]*\s*", "", text) or any(unit not in _SECONDS for _, unit in parts):
        raise BadUnit(f"{where}: {text!r} is not a time span like 90, 2min or infinity")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def environment_lines(text: str) -> dict[str, str]:
    """The variables of an EnvironmentFile: `NAME=value` lines, quotes around values, `#` and `;` comments."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        line = line.strip()
        if line and line[0] not in "#;" and "=" in line:
            name, _, value = line.partition("=")
            value = value.strip()
            values[name.strip()] = value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value
    return values


def read_unit(path: Path) -> UnitFile:
    """The service in a `.service` file. Raises BadUnit with every fault found, FileNotFoundError if there is no file."""
    entries = _entries(path)
    single = {(section, key): value for section, key, value in entries}
    faults: list[str] = []

    def get(section: str, key: str, default: str) -> str:
        return single.pop((section, key), default)

    def one_of(key: str, default: str, allowed: tuple[str, ...], section: str = "Service") -> str:
        value = get(section, key, default)
        if value not in allowed:
            faults.append(f"{path.name}: {key}={value} is none of {', '.join(allowed)}")
        return value

    def span(section: str, key: str, default: str) -> float:
        try:
            return seconds(get(section, key, default), f"{path.name}: {key}")
        except BadUnit as fault:
            faults.append(str(fault))
            return 0.0

    def all_of(key: str) -> list[str]:
        single.pop(("Service", key), None)
        return [value for section, name, value in entries if (section, name) == ("Service", key)]

    statuses = [int(word) for word in get("Service", "SuccessExitStatus", "").split() if word.isdigit()]
    prevented = [int(word) for word in get("Service", "RestartPreventExitStatus", "").split() if word.isdigit()]
    commands = all_of("ExecStart")
    if len(commands) != 1:
        faults.append(f"{path.name}: {len(commands)} ExecStart= lines; a service of this lab has exactly one")
    faults += [
        f"{path.name}: {key}= is more than the lab's systemd can do" for section, key in single if section == "Service" and key.startswith("Exec")
    ]
    burst = get("Unit", "StartLimitBurst", "5")
    if not burst.isdigit():
        faults.append(f"{path.name}: StartLimitBurst={burst} is not a whole number")
    unit = UnitFile(
        name=path.stem,
        command=tuple(shlex.split(commands[0])) if commands else (),
        type=one_of("Type", "simple", ("simple", "exec", "oneshot")),
        environment={word.partition("=")[0]: word.partition("=")[2] for line in all_of("Environment") for word in shlex.split(line)},
        environment_files=tuple(all_of("EnvironmentFile")),
        working_directory=get("Service", "WorkingDirectory", "/"),
        restart=one_of("Restart", "no", ("no", "on-failure", "on-abnormal", "on-success", "always")),
        restart_seconds=span("Service", "RestartSec", "100ms"),
        restart_prevented_by=frozenset(prevented),
        success_statuses=frozenset({0, *statuses}),
        start_limit_seconds=span("Unit", "StartLimitIntervalSec", "10"),
        start_limit_burst=int(burst) if burst.isdigit() else 0,
        start_limit_action=one_of("StartLimitAction", "none", ("none", "poweroff", "poweroff-force", "poweroff-immediate"), "Unit"),
        stop_seconds=span("Service", "TimeoutStopSec", "90"),
        kill_mode=one_of("KillMode", "control-group", ("control-group", "mixed", "process")),
        kill_signal=one_of("KillSignal", "SIGTERM", ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2")),
        ignored=tuple(f"[{section}] {key}" for section, key in single if key not in _IGNORED.get(section, ())),
    )
    if faults:
        raise BadUnit("; ".join(faults))
    return unit


def _entries(path: Path) -> list[tuple[str, str, str]]:
    """(section, key, value) in file order; a trailing backslash continues a line, an empty value resets what came before."""
    entries: list[tuple[str, str, str]] = []
    section = ""
    for line in re.sub(r"\\\n\s*", " ", path.read_text()).splitlines():
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif "=" in line:
            key, _, value = (part.strip() for part in line.partition("="))
            if value:
                entries.append((section, key, value))
            else:
                entries = [entry for entry in entries if entry[:2] != (section, key)]
        else:
            raise BadUnit(f"{path.name}: {line!r} is neither a section nor an assignment")
    return entries
