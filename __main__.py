"""The stack program: `stacks/Pulumi.<stack>.yaml` says what to deploy, `stacks/aws.py` turns it into components."""

import pulumi

from stacks import aws
from stacks.stack_file import read_aws

for name, value in aws.declare(read_aws()).items():
    pulumi.export(name, value)
