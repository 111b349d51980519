"""Print the job's items, one JSON line each: `python make_items.py > items.jsonl`."""

import json

from etl import RESAMPLES, read_lifetimes

for group in read_lifetimes():
    for resample in range(RESAMPLES):
        print(json.dumps({"group": group, "resample": resample}))
