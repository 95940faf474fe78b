"""The files of a project that may create others before docker builds: scripts, Makefiles, workflows, build files."""

from __future__ import annotations

import os
from collections.abc import Iterator

from buildguard.definitions import lazy_pattern
from buildguard.project.build_file_names import is_compose
from buildguard.startup.image_start import ImageStart

_SCRIPTS = lazy_pattern(
    r"(?:^|/)(?:Makefile|makefile|GNUmakefile|justfile|Justfile|Jenkinsfile|Earthfile|noxfile\.py|package\.json"
    r"|[^/]*\.(?:sh|ya?ml|mk|ps1|bat))$"
)
_MOST_SCRIPTS = 200
_YAML = (".yml", ".yaml")
# What lists or describes files, or runs somewhere else than beside the build.
_SETTINGS = lazy_pattern(
    r"(?i)(?:^|/)(?:\.?codecov|\.?coveragerc|dependabot|renovate|\.pre-commit[\w-]*|mkdocs|\.?readthedocs|openapi|swagger|labeler|stale"
    r"|\.?yamllint|\.?markdownlint[\w-]*|\.?golangci)(?:[.-][^/]*)?\.ya?ml$"
    r"|(?:^|/)(?:docs?|\.vscode|\.idea|k8s|kubernetes|helm|charts?)/(?:.*/)?[^/]*\.ya?ml$"
)
_ELSEWHERE = lazy_pattern(
    rb"(?m)^(?:openapi|swagger)\s*:|^kind\s*:\s*[\"']?(?:Deployment|Service|StatefulSet|DaemonSet|ConfigMap|Secret|Ingress|CronJob|Job"
    rb"|Pod|Namespace|PersistentVolume(?:Claim)?|Kustomization|HorizontalPodAutoscaler|List)\b"
)
# A playbook makes files on other machines, unless it builds images itself.
_PLAYBOOK = lazy_pattern(rb"(?m)^-?[ \t]+hosts\s*:|^-[ \t]*hosts\s*:")
_BUILDS_IMAGES = lazy_pattern(
    rb"\b(?:docker|podman|buildah)(?:_image|_compose|[ \t]+(?:buildx?|compose))\b|gcloud builds submit"
)
_COMMANDS = lazy_pattern(
    rb"(?m)^[\s-]*[\"']?(?:run|scripts?|before_script|after_script|cmds?|commands?|exec|shell|args|steps|tasks|jobs|before|after)[\"']?\s*:"
)


def build_scripts(image: ImageStart) -> Iterator[tuple[str, bytes]]:
    """The scripts and build files of a project, with their contents."""
    scripts = [path for path in image.files.named(_may_be_script) if path != image.dockerfile][:_MOST_SCRIPTS]
    image.files.load(scripts)
    for path in scripts:
        content = image.files.read(path) or b""
        if not path.endswith(_YAML) or runs_commands(content):
            yield path, content


def runs_commands(content: bytes) -> bool:
    """Whether a YAML file may have commands that run beside a build: no manifest, no description of an interface, no mere data."""
    is_remote = _PLAYBOOK.search(content) is not None and _BUILDS_IMAGES.search(content) is None
    return not is_remote and _COMMANDS.search(content) is not None and _ELSEWHERE.search(content) is None


def _may_be_script(path: str) -> bool:
    return _SCRIPTS.search(path) is not None and not is_compose(os.fsencode(path)) and not _SETTINGS.search(path)
