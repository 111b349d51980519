"""`python -m lab.provider`: print a port and serve the AWS stand-in on it until the engine ends.

The cloud is the one that `AWS_ENDPOINT_URL` names; without it nothing is served, so that a lab never reaches a real account.
"""

import os
import sys

from lab.provider.servicer import StandInProvider
from lab.provider.serving import serve

if __name__ == "__main__":
    if not os.environ.get("AWS_ENDPOINT_URL"):
        sys.exit("lab.provider: AWS_ENDPOINT_URL is not set; allowed: the address of a local cloud, http://127.0.0.1:PORT")
    serve(StandInProvider())
