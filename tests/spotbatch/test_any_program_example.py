"""The example of docs/any-program.md, with an interruption in the middle: it ends as an undisturbed run does."""

import subprocess
import sys
import time
from pathlib import Path

from tests.spotbatch.clock import wait_until

EXAMPLE = Path(__file__).parents[2] / "examples/any-program"
SPOTBATCH = [str(Path(sys.executable).with_name("spotbatch")), "run", "--queue"]


def test_a_training_ends_at_the_same_weights_on_another_machine_as_undisturbed(tmp_path):
    train = str(EXAMPLE / "train.py")
    subprocess.run([sys.executable, train, str(tmp_path / "undisturbed"), "30"], check=True, timeout=60, capture_output=True)
    for machine in ("first", "second"):
        (tmp_path / machine).mkdir()
    command = [*SPOTBATCH, f"local:{tmp_path / 'queue'}", "--run", "training", "--checkpoint-dir", "model", "--", sys.executable, train, "model"]
    command += ["30", "0.1"]
    with (tmp_path / "first.log").open("wb") as log:
        first = subprocess.Popen(command, cwd=tmp_path / "first", stdout=log, stderr=subprocess.DEVNULL)
        wait_until(lambda: b"epoch 5 " in (tmp_path / "first.log").read_bytes(), what="five epochs")
        first.terminate()
        assert first.wait(20) == 143
    second = subprocess.run(command, cwd=tmp_path / "second", capture_output=True, text=True, timeout=60)
    assert second.returncode == 0
    done = (tmp_path / "first.log").read_text().splitlines() + second.stdout.splitlines()
    assert [int(line.split()[1]) for line in done] == list(range(1, 31))
    assert (tmp_path / "second/model/model.json").read_bytes() == (tmp_path / "undisturbed/model.json").read_bytes()


def test_a_shell_loop_over_files_does_each_of_them_once(tmp_path):
    for name, machine in ((f"{number}.raw", "first") for number in range(20)):
        (tmp_path / "source").mkdir(exist_ok=True)
        (tmp_path / "source" / name).write_bytes(name.encode() * 200_000)
        (tmp_path / machine).mkdir(exist_ok=True)
    (tmp_path / "second").mkdir()
    command = [*SPOTBATCH, f"local:{tmp_path / 'queue'}", "--run", "media", "--checkpoint-dir", "out", "--"]
    command += [str(EXAMPLE / "compress.sh"), str(tmp_path / "source"), "out"]
    first = subprocess.Popen(command, cwd=tmp_path / "first", stderr=subprocess.DEVNULL)
    wait_until(lambda: (tmp_path / "first/out/0.raw.gz").exists(), what="the first file")
    time.sleep(0.1)
    first.terminate()
    assert first.wait(20) in (0, 143)
    assert subprocess.run(command, cwd=tmp_path / "second", stderr=subprocess.DEVNULL, timeout=60).returncode == 0
    made = {path.name for path in (tmp_path / "second/out").glob("*.gz")}
    assert made == {f"{number}.raw.gz" for number in range(20)}
    for name in made:
        assert subprocess.run(["gzip", "-t", str(tmp_path / "second/out" / name)]).returncode == 0
