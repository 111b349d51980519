"""Train a small network that writes its own checkpoints: `python train.py FOLDER [EPOCHS] [SECONDS_PER_EPOCH]`. It knows nothing of spotbatch.

As a program of your own would: it goes on from the checkpoint in FOLDER, writes one after each epoch, and ends early when told to. However
often that happens, the weights at the end are the same, byte for byte, as the checkpoint holds all that the next epoch hangs on: weights,
momentum, and the state of the random numbers that shuffle the samples and drop hidden units.
"""

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

SAMPLES, FEATURES, HIDDEN, BATCH = 2_000, 16, 32, 50
RATE, MOMENTUM, DROPPED = 0.05, 0.9, 0.2
TOLD = 143
"""What a program ends with that SIGTERM has stopped in good order."""

Weights = dict[str, np.ndarray]


def samples() -> tuple[np.ndarray, np.ndarray]:
    """Points, and the class of each: on which side of a curved surface it lies."""
    chance = np.random.default_rng(20)
    points = chance.normal(size=(SAMPLES, FEATURES))
    surface = np.sin(points @ chance.normal(size=FEATURES)) + 0.3 * points @ chance.normal(size=FEATURES)
    return points, (surface > 0).astype(float)


class Training:
    """The network, and whatever else decides what the next epoch does."""

    def __init__(self) -> None:
        self.epoch, self.chance = 0, np.random.default_rng(4)
        shapes = {"hidden": (FEATURES, HIDDEN), "bias": (HIDDEN,), "out": (HIDDEN,), "out_bias": (1,)}
        self.weights: Weights = {name: self.chance.normal(scale=0.3, size=shape) for name, shape in shapes.items()}
        self.speed: Weights = {name: np.zeros(shape) for name, shape in shapes.items()}

    def one_epoch(self, points: np.ndarray, labels: np.ndarray) -> float:
        """Every sample once, in an order of its own; the mean loss."""
        losses = [self._step(points[batch], labels[batch]) for batch in self.chance.permutation(len(points)).reshape(-1, BATCH)]
        self.epoch += 1
        return float(np.mean(losses))

    def _step(self, points: np.ndarray, labels: np.ndarray) -> float:
        weights = self.weights
        kept = (self.chance.random(HIDDEN) >= DROPPED) / (1 - DROPPED)
        hidden = np.tanh(points @ weights["hidden"] + weights["bias"]) * kept
        guess = 1 / (1 + np.exp(-(hidden @ weights["out"] + weights["out_bias"])))
        wrong = (guess - labels) / len(labels)
        back = np.outer(wrong, weights["out"]) * (kept - hidden**2 / np.maximum(kept, 1e-9))
        slopes = {"hidden": points.T @ back, "bias": back.sum(0), "out": hidden.T @ wrong, "out_bias": wrong.sum(keepdims=True)}
        for name, slope in slopes.items():
            self.speed[name] = MOMENTUM * self.speed[name] - RATE * slope
            weights[name] += self.speed[name]
        return float(-np.mean(labels * np.log(guess + 1e-12) + (1 - labels) * np.log(1 - guess + 1e-12)))

    def save(self, path: Path) -> None:
        """By rename, so that whatever stops the program leaves one whole checkpoint behind."""
        new = path.with_name("new.npz")
        kept: dict[str, Any] = {"epoch": self.epoch, "random": json.dumps(self.chance.bit_generator.state), **self.weights}
        kept |= {f"speed_{name}": value for name, value in self.speed.items()}
        np.savez(new, **kept)
        new.replace(path)

    def load(self, path: Path) -> None:
        with np.load(path) as saved:
            self.epoch, self.chance.bit_generator.state = int(saved["epoch"]), json.loads(str(saved["random"]))
            self.weights = {name: saved[name] for name in self.weights}
            self.speed = {name: saved[f"speed_{name}"] for name in self.speed}


def main(folder: Path, epochs: int = 40, seconds: float = 0.0) -> int:
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    folder.mkdir(parents=True, exist_ok=True)
    training, newest = Training(), folder / "model.npz"
    if newest.exists():
        training.load(newest)
    points, labels = samples()
    while training.epoch < epochs and not told:
        loss = training.one_epoch(points, labels)
        time.sleep(seconds)
        training.save(newest)
        print(f"epoch {training.epoch} of {epochs}: loss {loss:.4f}", flush=True)
    return 0 if training.epoch == epochs else TOLD


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *map(int, sys.argv[2:3]), *map(float, sys.argv[3:4])))
