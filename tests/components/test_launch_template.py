import base64
import json
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi_spotbatch.aws import SpotLaunchTemplate
from pulumi_spotbatch.validation import InvalidArgs

from tests.components.iam_lint import iam_faults
from tests.components.recorder import ANSWERS, Deployment, deploy
from tests.components.samples import QUEUE, SAMPLES

SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:token-AbCdEf"
PARAMETER = "arn:aws:ssm:us-east-1:123456789012:parameter/licence"


def machine(preview: bool = False, answers: Any = None, **args: Any) -> Deployment:
    given = {**SAMPLES["SpotLaunchTemplate"], **args}
    return deploy(lambda: SpotLaunchTemplate("m", {k: v for k, v in given.items() if v is not None}), preview=preview, answers=answers)  # pyright: ignore


def template(**args: Any) -> dict[str, Any]:
    return machine(**args).only("LaunchTemplate").inputs


def script(**args: Any) -> str:
    return base64.b64decode(template(**args)["userData"]).decode()


def policies(**args: Any) -> dict[str, Any]:
    return {request.name: request.inputs["policy"] for request in machine(**args).all("RolePolicy")}


def faults(**args: Any) -> tuple[str, ...]:
    with pytest.raises(InvalidArgs) as raised:
        machine(**args)
    return raised.value.faults


def test_metadata_needs_a_token_and_tells_tags(preview: bool):
    options = machine(preview).only("LaunchTemplate").inputs["metadataOptions"]
    assert options == {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1, "instanceMetadataTags": "enabled"}


def test_a_container_reaches_the_metadata_one_hop_further():
    assert template(code={"image": "job:1"})["metadataOptions"]["httpPutResponseHopLimit"] == 2


def test_the_root_volume_is_gp3_and_encrypted_and_goes_with_the_machine():
    (mapping,) = template()["blockDeviceMappings"]
    assert mapping == {"deviceName": "/dev/xvda", "ebs": {"encrypted": "true", "volumeType": "gp3", "volumeSize": 20, "deleteOnTermination": "true"}}


def test_a_machine_has_no_public_address_and_lets_nothing_in():
    deployment = machine()
    (interface,) = deployment.only("LaunchTemplate").inputs["networkInterfaces"]
    assert interface["associatePublicIpAddress"] == "false"
    assert interface["securityGroups"] == ["m-closed-id"]
    assert "ingress" not in deployment.only("SecurityGroup").inputs


def test_given_security_groups_are_used_and_none_is_made():
    deployment = machine(vpc_id=None, security_group_ids=["sg-1", "sg-2"])
    assert not deployment.all("SecurityGroup")
    assert deployment.only("LaunchTemplate").inputs["networkInterfaces"][0]["securityGroups"] == ["sg-1", "sg-2"]
    assert deployment.outputs["m"]["securityGroupId"] == "sg-1"


def test_it_says_nothing_of_spot_so_that_auto_scaling_takes_it():
    assert "instanceMarketOptions" not in template()


def test_a_machine_that_shuts_down_is_terminated():
    assert template()["instanceInitiatedShutdownBehavior"] == "terminate"


def test_machine_volume_interface_and_spot_request_carry_owner_pool_and_queue():
    found = {specification["resourceType"]: specification["tags"] for specification in template()["tagSpecifications"]}
    assert set(found) == {"instance", "volume", "network-interface", "spot-instances-request"}
    for tags in found.values():
        assert tags == {
            "Name": "m",
            "team": "batch",
            "spotbatch:stack": "work/test",
            "spotbatch:pool": "m-work-test",
            "spotbatch:queue": QUEUE["url"],
        }


def test_the_machine_image_of_the_first_deployment_stays_when_aws_publishes_a_newer_one():
    newer = {"aws:ssm/getParameter:getParameter": lambda args: {**ANSWERS["aws:ssm/getParameter:getParameter"](args), "insecureValue": "ami-2"}}  # pyright: ignore
    for answers in (None, newer):
        pin = machine(answers=answers).named("m-image")
        # The engine keeps the first input, and thereby the output, unless the trigger changes: tests/engine proves it.
        assert list(pin.raw.ignoreChanges) == ["input"]
        assert pin.raw.replacement_trigger.string_value == "x86_64 "


def test_another_release_or_architecture_takes_the_newest_image_again():
    images = ({}, {"release": "2026-11"}, {"architecture": "arm64"})
    triggers = [machine(image=image).named("m-image").raw.replacement_trigger.string_value for image in images]
    assert len(set(triggers)) == 3


def test_an_image_that_is_given_is_used_as_it_is():
    deployment = machine(image={"id": "ami-0aa"})
    assert deployment.only("LaunchTemplate").inputs["imageId"] == "ami-0aa"
    assert not deployment.all("Stash")
    assert not deployment.invokes


def test_arm_machines_boot_the_arm_image():
    (invoke,) = machine(image={"architecture": "arm64"}).invokes
    assert invoke.args["name"] == "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"


def test_the_role_may_work_on_the_queue_and_write_its_logs_and_nothing_else():
    documents = policies()
    assert set(documents) == {"m-may-work", "m-may-log"}
    assert documents["m-may-work"] == QUEUE["worker_policy"]
    assert json.loads(documents["m-may-log"])["Statement"] == [
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": ["arn:aws:cloudwatch:us-east-1:123456789012:m-logs", "arn:aws:cloudwatch:us-east-1:123456789012:m-logs:*"],
        }
    ]


def test_a_secret_is_named_on_the_machine_and_readable_for_its_role_only_by_its_arn():
    args = {"secrets": {"TOKEN": SECRET, "LICENCE": PARAMETER}}
    (statement,) = json.loads(policies(**args)["m-may-read-secrets"])["Statement"]
    assert statement["Action"] == ["secretsmanager:GetSecretValue", "ssm:GetParameter"]
    assert statement["Resource"] == [SECRET, PARAMETER]
    assert f'"TOKEN": "{SECRET}"' in script(**args)


def test_an_image_in_ecr_may_be_pulled_from_its_repository_alone():
    document = policies(code={"image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/job:1.4"})["m-may-pull"]
    assert json.loads(document)["Statement"][0]["Resource"] == "arn:aws:ecr:eu-west-1:123456789012:repository/team/job"
    assert "m-may-pull" not in policies(code={"image": "public.ecr.aws/team/job:1.4"})


def test_iam_documents_are_sound():
    deployment = machine(secrets={"TOKEN": SECRET}, code={"image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/job:1"})
    assert iam_faults(deployment.only("Role").inputs["assumeRolePolicy"], "trust") == []
    for request in deployment.all("RolePolicy"):
        if request.name != "m-may-work":
            assert iam_faults(request.inputs["policy"]) == []


def test_machines_start_only_once_they_are_allowed_to_work():
    deployment = machine()
    needed = {urn.split("::")[-1] for urn in deployment.only("LaunchTemplate").raw.dependencies}
    assert {"m-may-work", "m-may-log", "m-logs"} <= needed


def test_logs_are_kept_thirty_days():
    assert machine().only("LogGroup").inputs["retentionInDays"] == 30


def test_the_code_archive_goes_to_the_queues_bucket_and_outlives_its_version():
    upload = machine().only("BucketObjectv2")
    assert upload.inputs["bucket"] == QUEUE["bucket_name"]
    assert upload.inputs["key"].startswith("code/")
    assert upload.raw.retainOnDelete
    assert f"s3://{QUEUE['bucket_name']}/{upload.inputs['key']}" in script()


def test_a_job_that_cannot_be_packed_is_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "cache").write_text("a file where the cache's folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(pulumi.RunError, match=r"SpotLaunchTemplate 'm': code\.folder: .* cannot be packed: .*cache"):
        machine()


def test_without_an_archive_nothing_is_uploaded():
    for code, image in (({"image": "job:1"}, {}), ({"requirement": "job==1"}, {}), ({"on_image": "/opt/job/bin/python"}, {"id": "ami-0aa"})):
        assert not machine(code=code, image=image).all("BucketObjectv2")


def test_a_queue_that_is_made_in_the_same_program_is_waited_for(preview: bool):
    def program() -> None:
        later = {key: pulumi.Output.from_input(value) for key, value in QUEUE.items()}
        SpotLaunchTemplate("m", {**SAMPLES["SpotLaunchTemplate"], "queue": later})  # pyright: ignore

    inputs = deploy(program, preview=preview).only("LaunchTemplate").inputs
    assert isinstance(inputs["userData"], str) != preview


def test_the_version_is_text_so_that_fleets_take_it():
    assert machine().outputs["m"]["version"] == "1"


def test_every_fault_is_told_at_once():
    assert faults(
        worker="thumbnails.Thumbnails",
        vpc_id=None,
        code={"image": "job:1", "on_image": "/opt/python", "index_url": "https://me:secret@index.example/"},
        image={"architecture": "amd64", "root_gib": 4},
        processes=0,
        secrets={"A-B": "hunter2"},
        tags={"cost centre": "1"},
        spot_price="1",
    ) == (
        "spot_price: no such argument; known: worker, queue, vpc_id, security_group_ids, code, image, processes, secrets, tags",
        "worker: 'thumbnails.Thumbnails' is not allowed; allowed: MODULE:CLASS, such as etl:Survival",
        "code.index_url: a value that is not shown here is not allowed; allowed: an address without name and password "
        "(a private index: a secret named PIP_INDEX_URL)",
        "image.architecture: 'amd64' is not allowed; allowed: one of x86_64, arm64",
        "image.root_gib: 4 is not allowed; allowed: 8 to 16384",
        "processes: 0 is not allowed; allowed: 1 to 256",
        "secrets['A-B']: a value that is not shown here is not allowed; "
        "allowed: the ARN of a secret or parameter, arn:aws:secretsmanager:... or arn:aws:ssm:...",
        "code: ['image', 'on_image'] is not allowed; allowed: one of folder, image, requirement, on_image",
        "image.id: missing; allowed: the machine image that has code.on_image",
        "vpc_id: give either vpc_id, to have a security group made in it, or security_group_ids",
        "tags['cost centre']: 'cost centre' is not allowed; allowed: letters, digits and + - = . , _ : @ only, "
        "as machines read their tags from their metadata",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("args", "fault"),
    [
        ({"vpc_id": "vpc-1", "security_group_ids": ["sg-1"]}, "vpc_id: give either"),
        ({"security_group_ids": [], "vpc_id": None}, "security_group_ids: [] is not allowed; allowed: 1 or more entries"),
        ({"image": {"id": "ami-1", "release": "x"}}, "image.release: 'x' is not allowed; allowed: left out where image.id is given"),
        ({"image": {"id": "my-image"}}, "image.id: 'my-image' is not allowed; allowed: a machine image id"),
        ({"code": {"folder": "nowhere"}}, "code.folder: 'nowhere' is no folder"),
        ({"worker": "thumbnails:Thumbnail"}, "worker: 'thumbnails:Thumbnail': no Thumbnail in"),
        ({"worker": "other:Thumbnails"}, "worker: 'other:Thumbnails': no other.py in"),
        (
            {"code": {"folder": ".", "index_url": "https://index.example/"}},
            "code.index_url: it stands without code.requirement",
        ),
        ({"queue": {**QUEUE, "url": None}}, "queue.url: missing; allowed: a string"),
    ],
    ids=str,
)
def test_a_bad_argument_is_refused_with_what_is_allowed(args: dict[str, Any], fault: str):
    assert [told for told in faults(**args) if told.startswith(fault)]
