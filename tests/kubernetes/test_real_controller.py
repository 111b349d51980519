"""The real Karpenter controller, in a network of its own: it listens on every interface, and nothing outside is to see it."""

import os
import subprocess
import sys

import pytest

from lab.karpenter.own_network import command_in_own_network, missing_network
from lab.karpenter.rehearsal_cloud import moto_python
from lab.places import CHECKOUT
from tests.kubernetes.controller.conftest import IN_OWN_NETWORK


@pytest.mark.timeout(600)
def test_the_real_controller_moves_the_pods_of_machines_that_are_taken() -> None:
    assert not missing_network()
    moto_python()
    tests = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "tests/kubernetes/controller"]
    command, environment = command_in_own_network(tests), {**os.environ, IN_OWN_NETWORK: "own"}
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False, timeout=580)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
