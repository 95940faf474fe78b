"""Which image a reference means, for which platform, and what is said where it is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from docker.errors import APIError, ImageNotFound

from buildguard.docker import images
from buildguard.docker.client import remedy
from buildguard.errors import OtherPlatformError, UnprovenError
from tests.docker.fakes import daemon_of, image_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_DIGEST = f"sha256:{'d' * 64}"


def _description(**more: Any) -> dict[str, Any]:
    return {"Id": "sha256:1", "Os": "linux", "Architecture": "amd64", **more}


class _Registry:
    """An engine that has an image after it pulled it, and maybe before."""

    def __init__(self, local: dict[str, Any] | None, events: list[dict[str, Any]], pulled: dict[str, Any]) -> None:
        self.image = local
        self.events = events
        self.pulled = pulled
        self.calls: list[tuple[str, str, str]] = []

    def inspect_image(self, reference: str) -> dict[str, Any]:
        if self.image is None:
            raise ImageNotFound(f"No such image: {reference}")
        return self.image

    def pull(self, repository: str, tag: str, platform: str, **_options: bool) -> Iterator[dict[str, Any]]:
        self.calls.append((repository, tag, platform))
        self.image = self.pulled
        return iter(self.events)

    def find(self, reference: str, *, pull: bool = True) -> tuple[images.Image, list[str]]:
        notes: list[str] = []
        daemon = daemon_of(inspect_image=self.inspect_image, pull=self.pull)
        return images.find(daemon, reference, "linux/amd64", notes.append if pull else None), notes


@pytest.mark.parametrize(
    ("reference", "repo_digests", "digest"),
    [
        ("python:3.11", [f"python@{_DIGEST}"], _DIGEST),
        ("python:3.11", [f"docker.io/library/python@{_DIGEST}"], _DIGEST),
        ("acme/app", [f"docker.io/acme/app@{_DIGEST}"], _DIGEST),
        ("acme/app", [f"other/app@{_DIGEST}"], ""),
        ("localhost/app:1", [f"localhost/app@{_DIGEST}"], ""),
        ("app:1", None, ""),
    ],
)
def test_the_digest_is_the_one_of_its_own_registry(reference: str, repo_digests: list[str] | None, digest: str) -> None:
    image, _notes = _Registry(_description(RepoDigests=repo_digests), [], {}).find(reference)

    assert image.digest == digest


def test_an_image_is_read_with_what_it_runs() -> None:
    config = {"Env": ["PATH=/a:b:/c", "X=1", "X=2"], "Entrypoint": ["tini"], "Cmd": ["python", "m.py"]}
    image, notes = _Registry(_description(Id="1f", Config=config), [], {}).find("app:1")

    assert (image.id, image.platform, image.folder) == ("sha256:1f", "linux/amd64", "/")
    assert image.command == ("tini", "python", "m.py")
    assert (image.variable("X"), image.variable("Y")) == ("2", "")
    assert image.path == ["/a", "/c"]
    assert not notes


def test_an_image_without_a_path_uses_the_usual_folders() -> None:
    assert "/usr/local/bin" in image_of().path


def test_a_missing_image_is_pulled_with_its_progress() -> None:
    progress = {"current": 1 << 20, "total": 3 << 20}
    events: list[dict[str, Any]] = [
        {"status": "Downloading", "id": "a", "progressDetail": progress},
        {"status": "Done"},
    ]
    registry = _Registry(None, events, _description())

    _image, notes = registry.find("python")

    assert registry.calls == [("python", "latest", "linux/amd64")]
    assert notes == ["pulling python for linux/amd64", "pulling python: 1 of 3 MB"]


@pytest.mark.parametrize("reference", ["python:3.11", f"sha256:{'1' * 64}"])
def test_without_leave_to_pull_a_missing_image_is_unproven(reference: str) -> None:
    registry = _Registry(None, [], _description())

    with pytest.raises(UnprovenError, match="is not here") as caught:
        registry.find(reference, pull=reference.startswith("sha256:"))

    assert "docker pull --platform linux/amd64" in caught.value.hint
    assert not registry.calls


@pytest.mark.parametrize(("digests", "kind"), [([], OtherPlatformError), ([f"app@{_DIGEST}"], UnprovenError)])
def test_an_image_for_another_platform_is_named(digests: list[str], kind: type[UnprovenError]) -> None:
    foreign = _description(Architecture="arm64", RepoDigests=digests)

    with pytest.raises(UnprovenError, match="linux/arm64 here") as caught:
        _Registry(foreign, [], foreign).find("app")

    assert type(caught.value) is kind


def test_a_refused_pull_says_why_and_what_helps() -> None:
    registry = _Registry(None, [{"error": "pull access denied"}], _description())

    with pytest.raises(UnprovenError, match="could not be pulled: pull access denied") as caught:
        registry.find("acme/app:1")

    assert "docker login" in caught.value.hint


@pytest.mark.parametrize(
    ("error", "is_missing"),
    [
        ("manifest for acme/app:1 not found: manifest unknown", True),
        ("pull access denied for acme/app, repository does not exist or may require 'docker login'", True),
        ("dial tcp 127.0.0.1:1: connect: connection refused", False),
        ("unauthorized", False),
    ],
)
def test_only_a_registrys_own_word_makes_an_image_missing(error: str, *, is_missing: bool) -> None:
    registry = _Registry(None, [{"error": error}], _description())

    with pytest.raises(UnprovenError) as caught:
        registry.find("acme/app:1")

    assert isinstance(caught.value, images.MissingImageError) is is_missing


def test_an_engine_that_fails_is_no_missing_image() -> None:
    def fail(_reference: str) -> None:
        raise APIError("the disk is broken")

    with pytest.raises(UnprovenError, match="the disk is broken"):
        images.find(daemon_of(inspect_image=fail), "app", "linux/amd64", None)


@pytest.mark.parametrize(
    ("events", "outcome"),
    [
        ([{"status": "Pushing"}, {"aux": {"Digest": _DIGEST}}], _DIGEST),
        ([{"error": "unauthorized"}], "could not be pushed: unauthorized"),
        ([{"status": "Pushed"}], "digest"),
    ],
)
def test_a_push_returns_the_digest_or_fails(events: list[dict[str, Any]], outcome: str) -> None:
    daemon = daemon_of(push=lambda *_names, **_options: iter(events))

    if outcome == _DIGEST:
        assert images.push(daemon, "acme/app:1") == _DIGEST
    else:
        with pytest.raises(UnprovenError, match=outcome):
            images.push(daemon, "acme/app:1")


def test_a_push_uses_the_login_that_it_is_given() -> None:
    logins: list[object] = []

    def push(*_names: str, auth_config: object, **_options: object) -> list[dict[str, Any]]:
        logins.append(auth_config)
        return [{"aux": {"Digest": _DIGEST}}]

    login = {"username": "oauth2accesstoken", "password": "token"}
    assert images.push(daemon_of(push=push), "europe-docker.pkg.dev/p/r/app:1", login) == _DIGEST
    assert images.push(daemon_of(push=push), "localhost/app:1") == _DIGEST
    assert logins == [login, None]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("no matching manifest for linux/amd64 in the manifest list entries", "deploy.platform"),
        ("failed to register layer: archive/tar: invalid tar header", "zstd"),
        ("write /x: no space left on device", "docker system prune"),
        ("denied: requested access to the resource is denied", "docker login"),
        ("something else", ""),
    ],
)
def test_what_helps_against_a_refusal(words: str, hint: str) -> None:
    assert hint in remedy(words)
    assert bool(remedy(words)) is bool(hint)
