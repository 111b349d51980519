"""The one cluster that the stand-in talks to: never any other than the lab's."""

import os
import urllib.parse
from pathlib import Path
from typing import Any

import yaml


class NoCluster(Exception):
    """There is no cluster to talk to, or it is not on this machine; the message says which setting is to blame."""


def kubeconfig_text(configured: str | None) -> str:
    """The kubeconfig to use: what the provider was configured with (a path or the text), else the file that `KUBECONFIG` names.

    A user that would fetch a token from AWS (`exec`) becomes the administrator of the lab's own cluster, whose API server knows no AWS.
    Raises `NoCluster` if there is none, or if its API server is not on 127.0.0.1.
    """
    ambient = os.environ.get("KUBECONFIG")
    text = configured or ambient
    if not text:
        raise NoCluster("kubeconfig: not given, and KUBECONFIG is not set; allowed: the local cluster's (make lab KUBERNETES=1)")
    if "\n" not in text and not text.lstrip().startswith("{"):
        path = Path(text).expanduser()
        if not path.is_file():
            raise NoCluster(f"kubeconfig: {text!r} is neither a file nor the text of one")
        text = path.read_text()
    settings = _parsed(text)
    address = urllib.parse.urlsplit(_part(settings, "cluster").get("server", "")).hostname
    if address not in ("127.0.0.1", "localhost"):
        raise NoCluster(f"kubeconfig: its API server is {address!r}; allowed: the local cluster on 127.0.0.1")
    if "exec" in _part(settings, "user") and ambient:
        lab = _parsed(Path(ambient).read_text())
        settings["users"] = [{"name": entry["name"], "user": _part(lab, "user")} for entry in settings["users"]]
    return yaml.safe_dump(settings)


def _parsed(text: str) -> dict[str, Any]:
    try:
        settings = yaml.safe_load(text)
        _part(settings, "cluster")
        _part(settings, "user")
    except (yaml.YAMLError, KeyError, TypeError, StopIteration) as error:
        raise NoCluster(f"kubeconfig: its current context cannot be read: {error!r}") from error
    return settings


def _part(settings: dict[str, Any], kind: str) -> dict[str, Any]:
    """The cluster or user of the current context."""
    context = next(entry["context"] for entry in settings["contexts"] if entry["name"] == settings["current-context"])
    return next(entry[kind] for entry in settings[f"{kind}s"] if entry["name"] == context[kind])
