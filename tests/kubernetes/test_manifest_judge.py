"""The API server, with the definitions of the Karpenter release that the lab pins, as judge of every manifest that the components emit."""

from concurrent.futures import ThreadPoolExecutor

from lab.kubernetes.api import KubernetesApi, Manifest
from lab.kubernetes.refused import Refused

from . import manifests

MORE_THAN_A_SERVER_JUDGES: dict[str, str] = {}
"""Faults that the API server lets pass, each with the reason why we refuse them all the same."""


def _words(api: KubernetesApi, manifest: Manifest) -> str:
    """Why the API server refuses a manifest, or nothing."""
    try:
        api.apply(manifest, dry_run=True)
    except Refused as refused:
        return str(refused)
    return ""


def _judged(api: KubernetesApi, labelled: list[tuple[str, Manifest]]) -> dict[str, str]:
    with ThreadPoolExecutor(8) as threads:
        return dict(zip((label for label, _ in labelled), threads.map(lambda entry: _words(api, entry[1]), labelled), strict=True))


def test_every_manifest_of_the_grid_is_taken(api: KubernetesApi) -> None:
    sound = list(manifests.sound())
    refused = {label: words for label, words in _judged(api, sound).items() if words}
    assert not refused
    assert len(sound) > 500


def test_every_planted_fault_is_refused(api: KubernetesApi) -> None:
    faulty = list(manifests.faulty())
    let_pass = {label for label, words in _judged(api, faulty).items() if not words}
    assert let_pass == set(MORE_THAN_A_SERVER_JUDGES)
    assert len(faulty) >= 40


def test_the_server_refuses_in_karpenters_own_words(api: KubernetesApi) -> None:
    words = dict(_judged(api, [entry for entry in manifests.faulty() if entry[0].endswith("a schedule without a duration")]))
    assert any("'schedule' must be set with 'duration'" in text for text in words.values()), words
