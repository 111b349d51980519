"""The stand-in for Pulumi's Kubernetes provider talks to the lab's own cluster, and never to one of the user's."""

from pathlib import Path

import pytest
import yaml

from lab.kubernetes.provider.cluster import NoCluster, kubeconfig_text


def kubeconfig(server: str, **user: object) -> str:
    return yaml.safe_dump(
        {
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
            "clusters": [{"name": "here", "cluster": {"server": server}}],
            "users": [{"name": "me", "user": user}],
        }
    )


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "kubeconfig"
    path.write_text(kubeconfig("https://127.0.0.1:6443", token="lab"))
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


def test_without_one_given_it_is_the_one_of_the_environment(lab: Path) -> None:
    assert yaml.safe_load(kubeconfig_text(None)) == yaml.safe_load(lab.read_text())
    assert yaml.safe_load(kubeconfig_text(str(lab))) == yaml.safe_load(lab.read_text())


def test_no_cluster_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    with pytest.raises(NoCluster, match="make lab KUBERNETES=1"):
        kubeconfig_text(None)


def test_a_cluster_elsewhere_is_refused(lab: Path) -> None:
    with pytest.raises(NoCluster, match=r"its API server is 'abc\.eks\.amazonaws\.com'; allowed: the local cluster on 127\.0\.0\.1"):
        kubeconfig_text(kubeconfig("https://abc.eks.amazonaws.com", token="mine"))


@pytest.mark.parametrize("text", ["no/such/file", "{}", "a: [", "current-context: none\ncontexts: []"])
def test_what_is_no_kubeconfig_is_named(lab: Path, text: str) -> None:
    with pytest.raises(NoCluster, match=r"^kubeconfig: "):
        kubeconfig_text(text)


def test_a_user_that_would_ask_aws_for_a_token_becomes_the_labs_administrator(lab: Path) -> None:
    given = kubeconfig("https://127.0.0.1:6443", exec={"command": "aws"})
    assert yaml.safe_load(kubeconfig_text(given))["users"] == [{"name": "me", "user": {"token": "lab"}}]
