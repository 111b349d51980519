"""The stack program: `stacks/Pulumi.<stack>.yaml` says what to deploy, `stacks/<cloud>.py` turns it into components."""

import importlib

import pulumi

from stacks import stack_file

for cloud, settings in stack_file.read().items():
    for name, value in importlib.import_module(f"stacks.{cloud}").declare(settings).items():
        pulumi.export(name, value)
