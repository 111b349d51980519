"""The example of docs/any-program.md on machines that are told to stop, or killed: it ends as an undisturbed run does."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.spotbatch.clock import wait_until

EXAMPLE = Path(__file__).parents[2] / "examples/any-program"
SPOTBATCH = [str(Path(sys.executable).with_name("spotbatch")), "run", "--lease", "2", "--save-every", "2"]


class Line:
    """One command line, started on one machine after another."""

    def __init__(self, folder: Path, run: str, kept: str, *command: str) -> None:
        self.folder = folder
        self.words = [*SPOTBATCH, "--queue", f"local:{folder / 'queue'}", "--run", run, "--checkpoint-dir", kept, "--", *command]
        self.started: list[subprocess.Popen[bytes]] = []

    def on(self, machine: str) -> subprocess.Popen[bytes]:
        (self.folder / machine).mkdir()
        with (self.folder / f"{machine}.log").open("wb") as log, (self.folder / f"{machine}.events").open("wb") as events:
            process = subprocess.Popen(self.words, cwd=self.folder / machine, stdout=log, stderr=events)
        self.started.append(process)
        return process

    def said(self, machine: str) -> list[str]:
        """Whole lines of its standard output."""
        return (self.folder / f"{machine}.log").read_text().splitlines()

    def saves(self, machine: str) -> int:
        return (self.folder / f"{machine}.events").read_text().count('"checkpoint durable"')

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()


@pytest.fixture
def training(tmp_path):
    train = str(EXAMPLE / "train.py")
    subprocess.run([sys.executable, train, str(tmp_path / "undisturbed"), "14"], check=True, timeout=60, capture_output=True)
    made = Line(tmp_path, "training", "model", sys.executable, train, "model", "14", "1.2")
    yield made
    made.close()


@pytest.fixture
def media(tmp_path):
    (tmp_path / "source").mkdir()
    for number in range(40):
        (tmp_path / "source" / f"{number:02d}.raw").write_bytes(f"{number}".encode() * 200_000)
    made = Line(tmp_path, "media", "out", str(EXAMPLE / "compress.sh"), str(tmp_path / "source"), "out")
    yield made
    made.close()


def test_a_training_told_to_stop_on_one_machine_and_killed_on_another_ends_at_the_same_weights_on_a_third(training):
    first = training.on("first")
    wait_until(lambda: len(training.said("first")) >= 2, what="two epochs")
    first.terminate()
    assert first.wait(20) == 143
    epochs = len(training.said("first"))
    second = training.on("second")
    wait_until(lambda: training.saves("second") >= 1, what="a save while more epochs run")
    second.kill()
    second.wait()
    third = training.on("third")
    assert third.wait(60) == 0
    said = {machine: [int(line.split()[1]) for line in training.said(machine)] for machine in ("first", "second", "third")}
    # Nothing twice after the notice; after the kill, what no save had covered.
    assert said["first"] + said["second"] == list(range(1, epochs + 1 + len(said["second"])))
    assert said["third"] == list(range(said["third"][0], 15)) and epochs + 1 < said["third"][0] <= said["second"][-1] + 1
    assert (training.folder / "third/model/model.npz").read_bytes() == (training.folder / "undisturbed/model.npz").read_bytes()


@pytest.mark.parametrize("how", ["told", "killed"])
def test_a_shell_loop_over_media_files_ends_with_each_of_them_whole(media, how):
    first = media.on("first")
    wait_until(lambda: (media.folder / "first/out/05.raw.gz").exists(), what="some files")
    first.terminate() if how == "told" else first.kill()
    first.wait(20)
    assert media.on("second").wait(60) == 0
    out = media.folder / "second/out"
    assert {path.name for path in out.iterdir() if not path.name.endswith(".part")} == {f"{number:02d}.raw.gz" for number in range(40)}
    for path in out.glob("*.gz"):
        whole = subprocess.run(["gunzip", "--stdout", str(path)], capture_output=True, check=True).stdout
        assert whole == (media.folder / "source" / path.name.removesuffix(".gz")).read_bytes()
