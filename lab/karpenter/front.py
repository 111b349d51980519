"""One address for an AWS that two emulators play: passes each request on by its service, and answers what neither has.

`python -m lab.karpenter.front PORT MINISTACK MOTO`: addresses of both.
"""

import ctypes
import http.client
import http.server
import json
import re
import signal
import sys
import urllib.parse
from collections.abc import Mapping
from typing import ClassVar

MOTO_SERVICES = frozenset({"ec2", "iam", "sts", "sqs", "events", "ssm"})
"""What the controller works with, and MiniStack does not have whole: fleets and offerings, instance profiles, source `aws.ec2` in PutEvents."""

_PRICES = {"m5.xlarge": "0.192", "m5a.xlarge": "0.172", "m4.xlarge": "0.2", "c5.xlarge": "0.17"}
"""On-demand dollars an hour in us-east-1. https://aws.amazon.com/ec2/pricing/on-demand/"""
_EMPTY = {"DescribePlacementGroups": "placementGroupSet", "DescribeCapacityReservations": "capacityReservationSet"}
_IMAGE = re.compile(rb"/aws/service/eks/optimized-ami/[^\"]*/amazon-linux-2023/x86_64/standard/")
_NOT_PASSED_ON = frozenset({"content-length", "connection", "accept-encoding", "transfer-encoding"})
_SECONDS = 60.0


class Front(http.server.BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    homes: ClassVar[dict[str, str]] = {}
    """Host and port of `ministack` and `moto`."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        action = _action(dict(self.headers), body)
        if action == "GetProducts":
            self._answer(200, json.dumps(_products()).encode(), "application/x-amz-json-1.1")
        elif action == "GetParameter" and _IMAGE.search(body):
            self._answer(200, json.dumps(self._image(json.loads(body)["Name"])).encode(), "application/x-amz-json-1.1")
        elif action in _EMPTY:
            words = (
                f'<{action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><{_EMPTY[action]}/></{action}Response>'
            )
            self._answer(200, words.encode(), "text/xml")
        else:
            status, answer, headers = self._passed_on(self.homes[_home(dict(self.headers))], self.path, body)
            if b"clusterSecurityGroupId" in answer:
                answer = self._with_a_group_that_exists(answer)
            self._answer(status, answer, headers.get("Content-Type", ""), headers)

    do_GET = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_POST

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _passed_on(self, home: str, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> tuple[int, bytes, Mapping[str, str]]:
        connection = http.client.HTTPConnection(home, timeout=_SECONDS)
        try:
            given = dict(self.headers) if headers is None else headers
            passed = {name: value for name, value in given.items() if name.lower() not in _NOT_PASSED_ON}
            connection.request(self.command if headers is None else "POST", path, body, {**passed, "Content-Length": str(len(body))})
            answer = connection.getresponse()
            return answer.status, answer.read(), dict(answer.getheaders())
        finally:
            connection.close()

    def _ec2(self, action: str, **more: str) -> bytes:
        scope = "Credential=test/20260101/us-east-1/ec2/aws4_request"
        headers = {"Authorization": f"AWS4-HMAC-SHA256 {scope}", "Content-Type": "application/x-www-form-urlencoded"}
        body = urllib.parse.urlencode({"Action": action, "Version": "2016-11-15", **more}).encode()
        return self._passed_on(self.homes["moto"], "/", body, headers)[1]

    def _image(self, name: str) -> dict[str, object]:
        """An image that moto has stands for the one that the alias names."""
        wanted = {"architecture": "x86_64", "virtualization-type": "hvm"}
        filters = {
            f"Filter.{n}.{part}": text for n, pair in enumerate(wanted.items(), 1) for part, text in zip(("Name", "Value.1"), pair, strict=True)
        }
        found = self._ec2("DescribeImages", **filters)
        image = re.search(rb"<imageId>(ami-\w+)</imageId>", found)
        return {"Parameter": {"Name": name, "Type": "String", "Value": image[1].decode() if image else "", "Version": 1}}

    def _with_a_group_that_exists(self, answer: bytes) -> bytes:
        """MiniStack invents the id of the group that EKS gives its cluster: moto's default group takes its place."""
        group = re.search(rb"<groupId>(sg-\w+)</groupId>", self._ec2("DescribeSecurityGroups", **{"GroupName.1": "default"}))
        return re.sub(rb'("clusterSecurityGroupId": ?)"sg-\w*"', rb'\1"' + (group[1] if group else b"") + b'"', answer)

    def _answer(self, status: int, body: bytes, content: str, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            if name.lower() not in _NOT_PASSED_ON | {"content-type", "date", "server"}:
                self.send_header(name, value)
        self.send_header("Content-Type", content)
        head_only = self.command == "HEAD"
        self.send_header("Content-Length", (headers or {}).get("Content-Length", "0") if head_only else str(len(body)))
        self.end_headers()
        if not head_only:
            self.wfile.write(body)


def _home(headers: Mapping[str, str]) -> str:
    scope = re.search(r"Credential=[^/]+/\d+/[^/]+/([\w-]+)/", headers.get("Authorization", ""))
    return "moto" if scope and scope[1] in MOTO_SERVICES else "ministack"


def _action(headers: Mapping[str, str], body: bytes) -> str:
    found = re.search(rb"(?:^|&)Action=(\w+)", body[:4096])
    return found[1].decode() if found else headers.get("X-Amz-Target", "").rpartition(".")[2]


def _products() -> dict[str, object]:
    listed = []
    for kind, dollars in _PRICES.items():
        term = {"priceDimensions": {"hour": {"pricePerUnit": {"USD": dollars}}}}
        listed.append(json.dumps({"product": {"attributes": {"instanceType": kind}}, "terms": {"OnDemand": {"term": term}}}))
    return {"FormatVersion": "aws_v1", "PriceList": listed}


def main(port: str, ministack: str, moto: str) -> None:
    Front.homes = {name: urllib.parse.urlsplit(address).netloc for name, address in (("ministack", ministack), ("moto", moto))}
    http.server.ThreadingHTTPServer.daemon_threads = True
    http.server.ThreadingHTTPServer.request_queue_size = 128
    http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Front).serve_forever()


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
    main(*sys.argv[1:])
