"""Train a small classifier that writes its own checkpoints: `python train.py FOLDER [EPOCHS] [SECONDS_PER_EPOCH]`. It knows nothing of spotbatch.

As a program of your own would: it goes on from the newest checkpoint in FOLDER, writes one after each epoch, and ends early when told to.
However often that happens, the weights at the end are the same, byte for byte: the order of the samples hangs on the epoch alone.
"""

import json
import math
import random
import signal
import sys
import time
from pathlib import Path

SAMPLES, FEATURES, RATE = 400, 6, 0.05
TOLD = 143
"""What a program ends with that SIGTERM has stopped in good order."""


def samples() -> list[tuple[list[float], int]]:
    """Points on both sides of a plane, a tenth of them on the wrong one."""
    chance = random.Random(20)
    plane = [chance.uniform(-1, 1) for _ in range(FEATURES)]
    made = []
    for _ in range(SAMPLES):
        point = [chance.gauss(0, 1) for _ in range(FEATURES)]
        side = sum(a * b for a, b in zip(plane, point, strict=True)) > 0
        made.append((point, int(side != (chance.random() < 0.1))))
    return made


def one_epoch(weights: list[float], data: list[tuple[list[float], int]], epoch: int) -> float:
    """One pass of logistic regression over the data, in an order of its own; the mean loss."""
    loss = 0.0
    for point, label in random.Random(epoch).sample(data, len(data)):
        guess = 1 / (1 + math.exp(-sum(a * b for a, b in zip(weights, point, strict=True))))
        loss -= math.log(guess if label else 1 - guess)
        for index, value in enumerate(point):
            weights[index] += RATE * (label - guess) * value
    return loss / len(data)


def main(folder: Path, epochs: int = 40, seconds: float = 0.0) -> int:
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    folder.mkdir(parents=True, exist_ok=True)
    newest = folder / "model.json"
    model = json.loads(newest.read_text()) if newest.exists() else {"epoch": 0, "weights": [0.0] * FEATURES}
    data = samples()
    while model["epoch"] < epochs and not told:
        loss = one_epoch(model["weights"], data, model["epoch"])
        model["epoch"] += 1
        time.sleep(seconds)
        # By rename, so that whatever stops the program leaves one whole checkpoint behind.
        (folder / "model.json.new").write_text(json.dumps(model))
        (folder / "model.json.new").replace(newest)
        print(f"epoch {model['epoch']} of {epochs}: loss {loss:.4f}", flush=True)
    return 0 if model["epoch"] == epochs else TOLD


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *map(int, sys.argv[2:3]), *map(float, sys.argv[3:4])))
