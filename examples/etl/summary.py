"""Print the survival table from the job's results: `spotbatch results RUN | python summary.py`."""

import json
import sys

from etl import HOURS

estimates: dict[str, list[list[float]]] = {}
for line in sys.stdin:
    result = json.loads(line)
    estimates.setdefault(result["group"], []).append(result["survival"])

print("share still running after (median of the resamples, 90 % interval)")
print(f"{'zone/machine type':<30}" + "".join(f"{f'{hours} h':>18}" for hours in HOURS))
for group, curves in sorted(estimates.items()):
    cells = []
    for column in zip(*curves, strict=True):
        ordered = sorted(column)
        low, middle, high = (ordered[round(share * (len(ordered) - 1))] for share in (0.05, 0.5, 0.95))
        cells.append(f"{middle:.2f} ({low:.2f}-{high:.2f})".rjust(18))
    print(f"{group:<30}" + "".join(cells))
