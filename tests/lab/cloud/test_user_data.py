import base64
import gzip

import pytest

from lab.cloud import LocalCloud
from tests.lab.cloud.fleets import eventually, fleet_config, make_template, members, request_fleet


@pytest.mark.parametrize(
    ("kind", "user_data", "said"),
    [
        ("m5.large", b"#!/bin/bash\necho 'ran as a script'\n", "ran as a script"),
        ("m5a.large", gzip.compress(b"#!/bin/bash\necho 'ran though packed'\n", mtime=0), "ran though packed"),
        ("m4.large", b"#cloud-config\nruncmd: []\n", "the lab runs scripts only"),
        ("c5.large", b"#!/no/such/shell\n", "Failed running user-data: [Errno 2]"),
        ("c4.large", b"#!/bin/bash\nexit 3\n", "Failed running user-data [3]"),
    ],
)
def test_user_data_runs_as_cloud_init_would_run_it_or_the_console_says_why_not(cloud: LocalCloud, kind: str, user_data: bytes, said: str):
    template = make_template(cloud, UserData=base64.b64encode(user_data).decode())
    (one,) = members(cloud, request_fleet(cloud, fleet_config(template, [(kind, "a")])))
    assert eventually(lambda: said in one.console.read_text()), one.console.read_text()
    assert one.living, "a failed script leaves a machine idle, as it does on EC2"


def test_a_machine_sees_its_own_environment_and_nothing_of_this_hosts(cloud: LocalCloud):
    (one,) = members(cloud, request_fleet(cloud, fleet_config(make_template(cloud, "#!/bin/bash\nenv | sort; echo over\n"), [("r5.large", "a")])))
    assert eventually(lambda: "\nover" in one.console.read_text())
    names = {line.partition("=")[0] for line in one.console.read_text().splitlines() if "=" in line}
    shell = {"PWD", "SHLVL", "_"}
    given = {
        "PATH",
        "HOME",
        "TMPDIR",
        "LANG",
        "SPOTBATCH_ROOT",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        "AWS_ENDPOINT_URL",
        "http_proxy",
        "https_proxy",
        "no_proxy",
    }
    assert names - shell == given
