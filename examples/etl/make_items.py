"""Print the job's items, one JSON line each: `python make_items.py [SECONDS] > items.jsonl`; with SECONDS each item takes so long."""

import json
import sys

from etl import RESAMPLES, read_lifetimes

pace = {"seconds": float(sys.argv[1])} if len(sys.argv) > 1 else {}
for group in read_lifetimes():
    for resample in range(RESAMPLES):
        print(json.dumps({"group": group, "resample": resample, **pace}))
