"""What a command does with sources and images, by its first words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum

from buildguard.definitions import lazy_pattern


class Role(Enum):
    """What a step does with an image or with sources, by its words."""

    FETCHES = "fetches sources"
    BUILDS = "builds"
    PUSHES = "pushes"
    UPLOADS = "uploads files"
    DEPLOYS = "deploys"


# The first words of commands, by what they do; `…` stands for any words in between.
_DOES: tuple[tuple[Role, str], ...] = (
    (Role.FETCHES, "git clone"),
    (Role.FETCHES, "git fetch"),
    (Role.FETCHES, "git pull"),
    (Role.FETCHES, "git checkout"),
    (Role.FETCHES, "git submodule"),
    (Role.FETCHES, "git lfs"),
    (Role.FETCHES, "gcloud source repos clone"),
    (Role.FETCHES, "wget"),
    (Role.BUILDS, "docker … build"),
    (Role.BUILDS, "docker buildx"),
    (Role.BUILDS, "docker compose … build"),
    (Role.BUILDS, "docker-compose … build"),
    (Role.BUILDS, "buildah … bud"),
    (Role.BUILDS, "buildah … build"),
    (Role.BUILDS, "podman … build"),
    (Role.BUILDS, "executor"),
    (Role.BUILDS, "pack build"),
    (Role.BUILDS, "bazel … build"),
    (Role.BUILDS, "bazel … run"),
    (Role.BUILDS, "gcloud run deploy … --source"),
    (Role.BUILDS, "ko build"),
    (Role.BUILDS, "ko publish"),
    (Role.BUILDS, "ko resolve"),
    (Role.BUILDS, "skaffold … build"),
    (Role.BUILDS, "skaffold … run"),
    (Role.BUILDS, "gcloud builds submit"),
    (Role.PUSHES, "docker … push"),
    (Role.PUSHES, "docker buildx … --push"),
    (Role.PUSHES, "docker manifest push"),
    (Role.PUSHES, "podman … push"),
    (Role.PUSHES, "buildah … push"),
    (Role.PUSHES, "executor"),
    (Role.PUSHES, "pack build … --publish"),
    (Role.PUSHES, "bazel … run"),
    (Role.PUSHES, "gcloud run deploy … --source"),
    (Role.PUSHES, "ko build"),
    (Role.PUSHES, "ko publish"),
    (Role.PUSHES, "ko resolve"),
    (Role.PUSHES, "skaffold … build"),
    (Role.PUSHES, "skaffold … run"),
    (Role.PUSHES, "crane push"),
    (Role.PUSHES, "crane copy"),
    (Role.PUSHES, "skopeo copy"),
    (Role.PUSHES, "gcloud builds submit"),
    (Role.DEPLOYS, "gcloud run deploy"),
    (Role.DEPLOYS, "gcloud run services replace"),
    (Role.DEPLOYS, "gcloud run services update"),
    (Role.DEPLOYS, "gcloud run services update-traffic"),
    (Role.DEPLOYS, "gcloud run jobs create"),
    (Role.DEPLOYS, "gcloud run jobs deploy"),
    (Role.DEPLOYS, "gcloud run jobs execute"),
    (Role.DEPLOYS, "gcloud run jobs replace"),
    (Role.DEPLOYS, "gcloud run jobs update"),
    (Role.DEPLOYS, "gcloud run replace"),
    (Role.DEPLOYS, "gcloud functions deploy"),
    (Role.DEPLOYS, "gcloud app deploy"),
    (Role.DEPLOYS, "gcloud deploy releases"),
    (Role.DEPLOYS, "gcloud compute instance-groups"),
    (Role.DEPLOYS, "gcloud compute instances"),
    (Role.DEPLOYS, "kubectl … apply"),
    (Role.DEPLOYS, "kubectl … create"),
    (Role.DEPLOYS, "kubectl … patch"),
    (Role.DEPLOYS, "kubectl … replace"),
    (Role.DEPLOYS, "kubectl … rollout"),
    (Role.DEPLOYS, "kubectl … set"),
    (Role.DEPLOYS, "kustomize"),
    (Role.DEPLOYS, "helm … install"),
    (Role.DEPLOYS, "helm … upgrade"),
    (Role.DEPLOYS, "helmfile"),
    (Role.DEPLOYS, "gke-deploy"),
    (Role.DEPLOYS, "ko apply"),
    (Role.DEPLOYS, "skaffold … deploy"),
    (Role.DEPLOYS, "skaffold … run"),
    (Role.DEPLOYS, "terraform … apply"),
    (Role.DEPLOYS, "pulumi up"),
    (Role.DEPLOYS, "firebase … deploy"),
)
# Programs that a step may name as its first argument, behind an image of its own.
KNOWN_PROGRAMS = frozenset(pattern.split()[0] for _role, pattern in _DOES) | {"gsutil", "curl"}
_COPIES = tuple(
    [*program, command]
    for program in (["gsutil", "…"], ["gcloud", "storage", "…"])
    for command in ("cp", "mv", "rsync")
)
_SENDS = lazy_pattern(r"-[dFT]|--(?:data|form|upload-file|json)|-?X?(?:POST|PUT|PATCH|DELETE)$|--request=")
_RELEASE_TRACKS = frozenset({"alpha", "beta", "preview"})


def roles_of(argv: Sequence[str]) -> set[Role]:
    """What a command does: its first words are those of a pattern."""
    words = [word for word in argv if word not in _RELEASE_TRACKS]
    split = [part for word in words for part in (word.split("=", 1) if word.startswith("--") else [word])]
    return {role for role, pattern in _DOES if _starts_with(split, pattern.split())} | set(_transfers(words))


def _transfers(words: Sequence[str]) -> Iterator[Role]:
    """Copies from and to a bucket, and what curl does: only what brings sources here is a fetch."""
    if words[:1] == ["curl"]:
        sends = any(_SENDS.match(word) for word in words)
        yield Role.UPLOADS if sends else Role.FETCHES
    if not any(_starts_with(words, copy) for copy in _COPIES):
        return
    paths = [word for word in words if not word.startswith("-")]
    target, sources = paths[-1], paths[:-1]
    from_bucket = any(source.startswith(("gs://", "s3://", "$")) for source in sources)
    yield Role.FETCHES if from_bucket and not target.startswith(("gs://", "s3://")) else Role.UPLOADS


def _starts_with(words: Sequence[str], pattern: Sequence[str]) -> bool:
    at = 0
    for position, wanted in enumerate(pattern):
        if wanted == "…":
            continue
        loose = position > 0 and pattern[position - 1] == "…"
        while loose and at < len(words) and words[at] != wanted:
            at += 1
        if at >= len(words) or words[at] != wanted:
            return False
        at += 1
    return True
