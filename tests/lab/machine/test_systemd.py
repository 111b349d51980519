import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from lab.machine.processes import adopt_orphans, end_below
from lab.machine.systemd import Answer, Systemd

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
Story = Callable[[Systemd], Awaitable[None]]


class Bench:
    """A machine's systemd without the machine: its log, and whether it was told to power off."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lines: list[str] = []
        self.off = False
        (root / "etc/systemd/system").mkdir(parents=True)

    def unit(self, script: str, settings: str = "", unit: str = "") -> None:
        (self.root / "job.sh").write_text(script)
        text = f"[Unit]\n{unit}\n[Service]\nExecStart=bash {self.root}/job.sh\nWorkingDirectory={self.root}\n{settings}\n"
        (self.root / "etc/systemd/system/job.service").write_text(text)

    def play(self, story: Story) -> None:
        def power_off() -> None:
            self.off = True

        async def run() -> None:
            systemd = Systemd(self.root, ENVIRONMENT, self.lines.append, power_off)
            try:
                await asyncio.wait_for(story(systemd), 20)
            finally:
                await systemd.stop_all()

        asyncio.run(run())

    async def says(self, text: str) -> None:
        """Wait for a line in the file that jobs write to."""
        while text not in self.said():
            await asyncio.sleep(0.02)

    def said(self) -> str:
        path = self.root / "said"
        return path.read_text() if path.exists() else ""


def ask(systemd: Systemd, words: str) -> Awaitable[Answer]:
    return systemd.command(words.split())


def test_enable_now_starts_the_unit_and_status_tells_of_it(tmp_path: Path):
    bench = Bench(tmp_path)
    bench.unit("echo up >>said; exec sleep 60")

    async def story(systemd: Systemd) -> None:
        assert (await ask(systemd, "daemon-reload"))[0] == 0
        assert (await ask(systemd, "is-active job"))[0] == 3
        assert (await ask(systemd, "enable --now job.service"))[0] == 0
        await bench.says("up")
        assert (await ask(systemd, "is-active job")) == (0, "active")
        assert "Active: active" in (await ask(systemd, "status job"))[1]
        assert (await ask(systemd, "stop job"))[0] == 0
        assert (await ask(systemd, "is-active job")) == (3, "inactive")

    bench.play(story)


def test_a_unit_that_is_not_there_is_said_so(tmp_path: Path):
    async def story(systemd: Systemd) -> None:
        assert (await ask(systemd, "start nothing")) == (1, "Unit file nothing.service does not exist.")

    Bench(tmp_path).play(story)


def test_stopping_sends_sigterm_to_the_main_process_alone_when_the_mode_is_mixed(tmp_path: Path):
    bench = Bench(tmp_path)
    child = "trap 'echo child TERM >>said' TERM; echo child up >>said; while :; do sleep 0.1; done"
    bench.unit(f'bash -c "{child}" & trap "echo main TERM >>said; exit" TERM; echo main up >>said; while :; do sleep 0.1; done', "KillMode=mixed")

    async def story(systemd: Systemd) -> None:
        await ask(systemd, "start job")
        await bench.says("child up")
        await bench.says("main up")
        await ask(systemd, "stop job")
        assert "main TERM" in bench.said() and "child TERM" not in bench.said()

    bench.play(story)


def test_a_service_that_does_not_stop_in_time_is_killed_with_all_it_started(tmp_path: Path):
    bench = Bench(tmp_path)
    bench.unit(
        "trap '' TERM; (setsid bash -c 'while :; do date +%s.%N >alive; sleep 0.05; done' &); echo up >>said; while :; do sleep 0.1; done",
        "TimeoutStopSec=500ms",
    )

    async def story(systemd: Systemd) -> None:
        await ask(systemd, "start job")
        await bench.says("up")
        await asyncio.sleep(0.2)
        started = time.monotonic()
        await ask(systemd, "stop job")
        assert 0.4 < time.monotonic() - started < 3
        await asyncio.sleep(0.2)
        last = (tmp_path / "alive").read_text()
        await asyncio.sleep(0.3)
        assert (tmp_path / "alive").read_text() == last

    adopt_orphans()
    try:
        bench.play(story)
    finally:
        end_below(os.getpid())


def test_a_failing_service_is_restarted_until_its_limit_and_then_powers_off(tmp_path: Path):
    bench = Bench(tmp_path)
    bench.unit(
        "echo run >>said; exit 1", "Restart=on-failure\nRestartSec=10ms", "StartLimitIntervalSec=60\nStartLimitBurst=3\nStartLimitAction=poweroff"
    )

    async def story(systemd: Systemd) -> None:
        await ask(systemd, "start job")
        while not bench.off:
            await asyncio.sleep(0.02)
        assert bench.said().count("run") == 3
        assert (await ask(systemd, "is-active job"))[1] == "failed"

    bench.play(story)


def test_a_clean_end_and_a_prevented_status_are_not_restarted(tmp_path: Path):
    bench = Bench(tmp_path)
    for status in (0, 7):
        (tmp_path / "said").unlink(missing_ok=True)
        bench.unit(f"echo run >>said; exit {status}", "Restart=on-failure\nRestartSec=10ms\nRestartPreventExitStatus=7")

        async def story(systemd: Systemd) -> None:
            await ask(systemd, "start job")
            await bench.says("run")
            await asyncio.sleep(0.3)
            assert bench.said().count("run") == 1

        bench.play(story)


def test_a_killed_service_comes_back(tmp_path: Path):
    bench = Bench(tmp_path)
    bench.unit("echo $$ >>said; exec sleep 60", "Restart=on-failure\nRestartSec=10ms")

    async def story(systemd: Systemd) -> None:
        await ask(systemd, "start job")
        await bench.says("\n")
        os.kill(int(bench.said()), 9)
        while bench.said().count("\n") < 2:
            await asyncio.sleep(0.02)

    bench.play(story)


def test_variables_come_from_the_unit_then_its_files_and_reach_the_command_line(tmp_path: Path):
    bench = Bench(tmp_path)
    bench.unit("")
    (tmp_path / "worker.env").write_text("A='from file'\nB=2\n")
    (tmp_path / "etc/systemd/system/job.service").write_text(
        f'[Service]\nWorkingDirectory={tmp_path}\nEnvironment=A=unit C=3 "W=x y"\nEnvironmentFile={tmp_path}/worker.env\n'
        "ExecStart=bash -c 'echo \"$0|$1|$2|$A|$C|$$C|$INVOCATION_ID\" >said' ${B}-${A} $W\n"
    )

    async def story(systemd: Systemd) -> None:
        await ask(systemd, "start job")
        await bench.says("\n")

    bench.play(story)
    *words, invocation = bench.said().strip().split("|")
    assert words == ["2-from file", "x", "y", "from file", "3", "3"] and len(invocation) == 32


def test_a_program_that_is_not_there_fails_the_start_with_its_name(tmp_path: Path):
    bench = Bench(tmp_path)
    (tmp_path / "etc/systemd/system/job.service").write_text("[Service]\nExecStart=python3.99 -m job\n")

    async def story(systemd: Systemd) -> None:
        code, text = await ask(systemd, "start job")
        assert code == 1 and "Unable to locate executable 'python3.99'" in text

    bench.play(story)
