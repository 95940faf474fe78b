"""BG706: a variable that the start requires and nothing sets, where it is known what sets variables."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Sequence

from buildguard.codes import Code
from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.project import image_reference
from buildguard.project.start_command import StartCommand
from buildguard.startup.applications import EntryFile
from buildguard.startup.findings import FindingPlace, StartupFindings
from buildguard.startup.image_start import ImageStart
from buildguard.startup.variables.contract import NeededVariable, StartVariables, missing, read_start
from buildguard.startup.variables.templates import (
    PLATFORM_VARIABLES,
    ServiceTemplate,
    TemplateVariables,
    merge_templates,
)

_USUAL = 11  # the minor version that counts where the target's is unknown
# Files in which a deploy may set variables in ways that are not read here.
_DEPLOYING = lazy_pattern(
    r"(?:\.(?:tf|tfvars|hcl|sh|bash|ya?ml|mk|json|env|ps1|jsonnet|cue|pp|nix)|(?:^|/)(?:Makefile|justfile|Jenkinsfile|Procfile|\.env[^/]*))$"
)
_ANY_TEXT = lazy_pattern(r"(?<!\.py)(?<!\.pyi)(?<!\.ipynb)$")
_MOST_NAMES = 3  # of one that has several names, shown


class EnvironmentSources(NamedTuple):
    """What may set variables for the images of a project: its templates, and names that a person left out on purpose."""

    templates: Sequence[ServiceTemplate]
    optional: frozenset[str]
    is_only: bool


def check_variables(
    image: ImageStart, start: StartCommand, entry: EntryFile, sources: EnvironmentSources, findings: StartupFindings
) -> None:
    """Report each variable that the start requires and that neither the template, the Dockerfile nor the platform sets."""
    template = merge_templates(sources.templates, image.dockerfile, is_only=sources.is_only)
    if not template.is_known and not (image.tree.model.env.keys() - {"PATH"}):
        return
    variables = read_start(image, start, entry, minor_of(image))
    lost = [
        needed
        for needed in missing(variables, provided_by(image, start, template))
        if sources.optional.isdisjoint(needed.read.names)
    ]
    if lost and not template.is_known and not _sets_some(image, variables):
        return
    for needed in lost:
        _report(image, template, variables, needed, findings)
    for use in variables.unread if template.is_known else ():
        findings.leave_open(FindingPlace(use.path, use.line), use.reason)


def minor_of(image: ImageStart) -> int:
    """The minor version of the image's Python, the usual one where it is unknown."""
    version = image_reference.promised_version(image.tree.base)
    return version.minor if version is not None else _USUAL


def provided_by(image: ImageStart, start: StartCommand, template: TemplateVariables) -> dict[str, str]:
    """Each variable that is set, and by what."""
    platform = dict.fromkeys(PLATFORM_VARIABLES, "the platform")
    by_image = dict.fromkeys({**image.tree.model.env, **start.env}, image.dockerfile or "the buildpack")
    return {**platform, **by_image, **template.names}


def _sets_some(image: ImageStart, variables: StartVariables) -> bool:
    """Whether the Dockerfile is where a project sets its variables: one that the start requires is set there."""
    env = image.tree.model.env
    return any(
        needed.at_start and needed.read.is_required and not env.keys().isdisjoint(needed.read.names)
        for needed in variables.needed
    )


def _report(
    image: ImageStart,
    template: TemplateVariables,
    variables: StartVariables,
    needed: NeededVariable,
    findings: StartupFindings,
) -> None:
    names = describe_names(needed)
    place = FindingPlace(needed.path, needed.read.line)
    doubt = _doubt(image, template, variables, needed)
    if doubt:
        findings.leave_open(place, f"{names}: {doubt}")
        return
    setters = [*(template.files if template.is_known else ()), *filter(None, [image.dockerfile])]
    message = (
        f"the start requires {names}, and {' and '.join(setters)} {'does' if len(setters) == 1 else 'do'} not set it"
    )
    hint = f'set it where the service is deployed, or list it: optional-env = ["{needed.read.names[0]}"] in [tool.buildguard.deploy]'
    findings.add(Code.BG706, place, message, hint)


def describe_names(needed: NeededVariable) -> str:
    """The names that a read takes, for people."""
    return " or ".join(needed.read.names[:_MOST_NAMES])


def _doubt(image: ImageStart, template: TemplateVariables, variables: StartVariables, needed: NeededVariable) -> str:
    """Why a variable may be set all the same; empty where nothing hints at it."""
    if variables.unknown:
        return variables.unknown[0]
    if not image.tree.model.knows_base:
        return f"{image.tree.base} may set it"
    mention = next(_mentions(image, needed.read.names, template), "")
    return f"{mention} names it" if mention else ""


def _mentions(image: ImageStart, names: Sequence[str], template: TemplateVariables) -> Iterator[str]:
    """Files that may set a variable: those of deploys, less the templates that were read; without any, whatever names it."""
    pattern = re.compile(rb"(?i)\b(?:TF_VAR_)?(?:%s)\b" % b"|".join(re.escape(os.fsencode(name)) for name in names))
    files = image.files
    paths = files.named(_DEPLOYING.search if template.is_known else _ANY_TEXT.search)
    if template.is_known:
        read = {*template.files, *(place.rpartition(":")[0] for place in template.names.values())}
        paths = [path for path in paths if path not in read and not _is_example(path)]
    files.load(paths)
    return (path for path in paths if path != image.dockerfile and pattern.search(files.read(path) or b""))


def _is_example(path: str) -> bool:
    """Whether a file only shows how variables may be set, or sets them for tests and for a laptop."""
    name = posixpath.basename(path)
    return any(word in name for word in ("example", "sample", "compose")) or name.startswith(".env")
