"""`aws` on a lab machine: `aws s3 cp`, with the machine's own credentials and boto3 instead of the AWS CLI.

Does not prove: other commands of the CLI, its retries and its parallel transfers.
"""

import argparse
import sys
from pathlib import Path

import boto3
import botocore.exceptions


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--version"]:
        print("aws-cli/2 (stand-in of the lab: aws s3 cp)")
        return 0
    parser = argparse.ArgumentParser(prog="aws", allow_abbrev=False)
    parser.add_argument("service", choices=["s3"])
    parser.add_argument("operation", choices=["cp"])
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--region")
    for flag in ("--quiet", "--only-show-errors", "--no-progress"):
        parser.add_argument(flag, action="store_true")
    for option in ("--cli-connect-timeout", "--cli-read-timeout"):
        parser.add_argument(option)
    options = parser.parse_args(arguments)
    client = boto3.client("s3", region_name=options.region)
    try:
        if options.source.startswith("s3://"):
            bucket, _, key = options.source.removeprefix("s3://").partition("/")
            target = Path(options.target)
            if target.is_dir():
                target = target / key.rpartition("/")[2]
            body = client.get_object(Bucket=bucket, Key=key)["Body"]
            with sys.stdout.buffer if options.target == "-" else target.open("wb") as out:
                for chunk in body.iter_chunks(1 << 20):
                    out.write(chunk)
        else:
            bucket, _, key = options.target.removeprefix("s3://").partition("/")
            content = sys.stdin.buffer.read() if options.source == "-" else Path(options.source).read_bytes()
            client.put_object(Bucket=bucket, Key=key or Path(options.source).name, Body=content)
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, OSError) as fault:
        print(f"fatal error: {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[2:]))
