"""Images: which one a reference means here, for which platform, and pulling it where that is allowed."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from docker.utils import parse_repository_tag

from buildguard.definitions import NamedTuple
from buildguard.docker import registry_names
from buildguard.docker.client import Daemon, is_missing, reason_of, remedy, translate_errors
from buildguard.errors import OtherPlatformError, Reason, UnprovenError
from buildguard.project import image_reference as references
from buildguard.project.image_reference import ImageDigest


class MissingImageError(UnprovenError):
    """The registry has no such image, or none for these credentials."""

    reason = Reason.NOT_FOUND


class Image(NamedTuple):
    """An image that the engine has: its id, the digest that its registry knows it by, and how it would be run.

    `digest` is empty for what was built here and never pushed; `platform` is "linux/amd64".
    """

    reference: str
    id: str
    digest: ImageDigest
    platform: str
    env: tuple[str, ...]
    folder: str
    command: tuple[str, ...]
    user: str = ""

    def variable(self, name: str) -> str:
        """The value of an environment variable, empty where the image sets none."""
        values = [assignment.partition("=")[2] for assignment in self.env if assignment.startswith(f"{name}=")]
        return values[-1] if values else ""

    @property
    def path(self) -> list[str]:
        """The folders in which a command is looked for."""
        is_set = any(assignment.startswith("PATH=") for assignment in self.env)  # an empty one finds nothing
        path = self.variable("PATH") if is_set else "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return [folder for folder in path.split(":") if folder.startswith("/")]

    @property
    def cache_folder(self) -> str:
        """The folder that Python keeps all bytecode in; empty where it is beside the sources."""
        prefix = self.variable("PYTHONPYCACHEPREFIX")
        return posixpath.normpath(posixpath.join(self.folder, prefix)) if prefix else ""


def find(daemon: Daemon, reference: str, platform: str, pull: Callable[[str], None] | None) -> Image:
    """The image that a reference means, for a platform.

    `pull` is told what is being pulled; None where nothing may be. Raises UnprovenError where the image is not here
    and may not be or cannot be pulled, or is for another platform.
    """
    image = _inspect(daemon, reference)
    wanted = "/".join(platform.split("/")[:2])  # an image says its variant (v8) elsewhere, if at all
    if image is not None and image.platform == wanted:
        return image
    emulated = registry_names.emulated_name(reference)
    if emulated and (pull is not None or "@" in reference):  # a digest is the same image wherever it is pulled from
        with suppress(UnprovenError):
            return find(daemon, emulated, platform, pull)._replace(reference=reference)
    if pull is not None and not reference.startswith("sha256:"):
        try:
            _pull(daemon, reference, platform, pull)
        except UnprovenError as error:
            missing = _not_found_error(reference, platform, image, error.what)
            if image is None and is_missing(error):
                missing = MissingImageError(missing.what, hint=missing.hint)
            raise missing from error
        image = _inspect(daemon, reference)
        if image is not None and image.platform == wanted:
            return image
    raise _not_found_error(reference, platform, image, "")


def _not_found_error(reference: str, platform: str, image: Image | None, why: str) -> UnprovenError:
    if image is not None:
        what = f"{reference} is for {image.platform} here, and {platform} is what will run it"
        # what a registry has may be for several platforms, and here only one of them
        error = UnprovenError if image.digest else OtherPlatformError
        return error(
            f"{what} ({why})" if why else what,
            hint=f"docker pull --platform {platform} {reference}, or set deploy.platform",
        )
    if why:
        return UnprovenError(
            f"{reference} is not here and could not be pulled: {why}",
            hint=remedy(why) or f"docker pull {reference} shows more; an image of yours has to be built first",
        )
    return UnprovenError(f"{reference} is not here", hint=f"docker pull --platform {platform} {reference}")


def _inspect(daemon: Daemon, reference: str) -> Image | None:
    try:
        with translate_errors(f"looking for {reference}"):
            description = daemon.api.inspect_image(reference)  # type: ignore[no-untyped-call]
    except UnprovenError as error:
        if is_missing(error):
            return None
        raise
    return read_image(reference, description)


def read_image(reference: str, description: Mapping[str, Any]) -> Image:
    """An image out of an engine's description of it."""
    config = description.get("Config") or {}
    identity = str(description["Id"])
    return Image(
        reference=reference,
        id=identity if identity.startswith("sha256:") else f"sha256:{identity}",
        digest=_digest(references.parse(reference).name, description.get("RepoDigests") or []),
        platform=f"{description.get('Os', 'linux')}/{description.get('Architecture', '')}",
        env=tuple(config.get("Env") or ()),
        folder=config.get("WorkingDir") or "/",
        command=(*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())),
        user=config.get("User") or "",
    )


def _digest(repository: str, repo_digests: Sequence[str]) -> ImageDigest:
    """The digest by which a repository's own registry knows an image, empty where it does not."""
    if repository.startswith("localhost/"):
        return ImageDigest("")  # what was built here is localhost/… to Podman, with a digest that no registry knows
    # without a registry in it a name is Docker Hub's; Podman writes that out
    names = {repository, f"docker.io/{repository}", f"docker.io/library/{repository}"}
    digests = (repo_digest.partition("@") for repo_digest in repo_digests)
    return ImageDigest(next((digest for name, _at, digest in digests if name in names), ""))


def _pull(daemon: Daemon, reference: str, platform: str, tell: Callable[[str], None]) -> None:
    repository, tag = parse_repository_tag(reference)
    layers: dict[str, tuple[int, int]] = {}
    tell(f"pulling {reference} for {platform}")
    with translate_errors(f"pulling {reference}"):
        events = daemon.api.pull(repository, tag=tag or "latest", platform=platform, stream=True, decode=True)
        for event in _until_error(events, ""):
            progress = event.get("progressDetail") or {}
            if event.get("status") == "Downloading" and progress.get("total"):
                layers[event["id"]] = (progress.get("current", 0), progress["total"])
                done, whole = (sum(column) >> 20 for column in zip(*layers.values(), strict=True))
                tell(f"pulling {reference}: {done} of {whole} MB")


def _until_error(events: Iterable[Any], doing: str) -> Iterator[Any]:
    """What an engine reports of its work. Raises UnprovenError for an error, when all is read: else the connection stays open."""
    errors: list[str] = []
    for event in events:
        if "error" in event:
            errors.append(str(event["error"]))
        elif not errors:
            yield event
    if errors:
        raise UnprovenError(f"{doing}{errors[0]}", reason=reason_of(errors[0]))


def push(daemon: Daemon, reference: str, login: Mapping[str, str] | None = None) -> ImageDigest:
    """Send an image to its registry; the digest that the registry gave it. Raises UnprovenError where it was not taken.

    `login` is a user name and a password; without it the engine's own login counts.
    """
    emulated = registry_names.emulated_name(reference)
    if emulated:
        return push_as(daemon, reference, emulated)
    repository, tag = parse_repository_tag(reference)
    digest = ""
    with translate_errors(f"pushing {reference}"):
        login_config = dict(login) if login is not None else None
        events = daemon.api.push(repository, tag=tag or "latest", stream=True, decode=True, auth_config=login_config)
        for event in _until_error(events, f"{reference} could not be pushed: "):
            digest = str((event.get("aux") or {}).get("Digest", digest))
    if not digest:
        raise UnprovenError(f"{reference} was pushed, but the registry returned no digest")
    return ImageDigest(digest)


def push_as(daemon: Daemon, reference: str, name: str) -> ImageDigest:
    """Send an image to a registry under another name, which the engine keeps as one more; its digest. Raises UnprovenError."""
    repository, tag = parse_repository_tag(name)
    with translate_errors(f"pushing {reference}"):
        daemon.api.tag(reference, repository, tag or "latest")
    return push(daemon, name)
