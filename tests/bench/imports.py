"""Import time of the components beside pulumi_aws itself, each in a fresh interpreter."""

import statistics
import subprocess
import sys
import time

from tests.bench.figures import Figure

ROUNDS = 7


def seconds(code: str) -> float:
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def figures() -> list[Figure]:
    bare, theirs, ours = seconds("pass"), seconds("import pulumi_aws"), seconds("import pulumi_spotbatch.aws")
    ratio = (ours - bare) / (theirs - bare)
    return [Figure("import pulumi_spotbatch.aws beside import pulumi_aws", f"{ours - bare:.2f} s, {theirs - bare:.2f} s: {ratio:.2f} x", "printed")]
