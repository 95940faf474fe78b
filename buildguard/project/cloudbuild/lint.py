"""Cloud Build's rules for a build file, checked before anything is sent. Pure: a read file in, findings out.

gcloud checks fields and types, and only those; the service checks the rest after the upload. Sources: gcloud 528's loader
(tests/gcp holds these rules to it), the API's reference, and the validator of Google's archived local builder.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from buildguard.diagnostic import Finding, Range, Severity, escape_text
from buildguard.project.cloudbuild import schema
from buildguard.project.cloudbuild.fields import FieldProblem, camel, check_type, flat, value_of
from buildguard.project.cloudbuild.schema import CountLimit
from buildguard.project.yaml import InvalidYamlError, Node, YamlPosition, read

_KEY = re.compile(r"_[A-Z0-9_]+")
_USE = re.compile(r"\$\$|\$(?:\{(?P<braced>[A-Z_][A-Z0-9_]*)(?P<rest>[^}]*)\}|(?P<bare>[A-Z_][A-Z0-9_]*))")
_TAG = re.compile(r"[\w][\w.-]{0,127}", re.ASCII)
_TAB = re.compile(r"^ *\t", re.MULTILINE)
_KEEPS_LOGS = {"CLOUD_LOGGING_ONLY", "NONE"}


def problems(data: bytes, file: str, given: Mapping[str, str]) -> list[Finding]:
    """BG410 to BG418 of one build file; `given` are the substitutions that are passed from outside."""
    try:
        root = read(data, file)
    except InvalidYamlError as error:
        where = Range(error.line, error.column)
        return [Finding("BG410", where, f"this is no YAML: {error.problem}", "", _line(data, error.line))]
    if _is_something_else(root, file):
        return []
    problem_list = [*_form(root, data.decode("utf-8"))]
    if not any(problem.code == "BG410" for problem in problem_list):
        problem_list += [*check_type(root, "Build", ""), *_build(root, data.decode("utf-8"), given)]
    return [
        Finding(
            problem.code,
            Range(problem.place.line, problem.place.column),
            escape_text(problem.message),
            problem.hint,
            _line(data, problem.place.line),
            Severity.ERROR if problem.sure else Severity.WARNING,
        )
        for problem in sorted(dict.fromkeys(problem_list), key=lambda problem: (problem.place.start, problem.code))
    ]


def _line(data: bytes, number: int | None) -> str:
    from buildguard.project.source_text import excerpt_of

    return excerpt_of(data, number)


def _is_something_else(root: Node, file: str) -> bool:
    """Whether a file is called like a build file and is none: a manifest of Kubernetes, a trigger, a list of variables."""
    keys = dict(root.pairs())
    if "steps" in keys:
        return False
    return {"apiVersion", "kind"} <= keys.keys() or posixpath.basename(file).rpartition(".")[0] != "cloudbuild"


def _form(root: Node, text: str) -> Iterator[FieldProblem]:
    if not isinstance(root.value, dict):
        yield FieldProblem("BG410", root.place, "this is no build: a mapping with steps is wanted")
    if root.flow and (tab := _TAB.search(text)) is not None:
        line = text.count("\n", 0, tab.start()) + 1
        place = YamlPosition(line, 1, tab.start(), tab.end())
        yield FieldProblem("BG410", place, "gcloud reads no tabs, in JSON neither", "indent with blanks")


def _build(root: Node, text: str, given: Mapping[str, str]) -> Iterator[FieldProblem]:
    """What concerns more than one field."""
    build = flat(root)
    steps = [flat(step) for step in value_of(build, "steps").items() if isinstance(step.value, dict)]
    if source := build.get("source"):
        yield FieldProblem("BG411", source.place, "a build file cannot say what its source is", "remove it")
    if not value_of(build, "steps").items():
        yield FieldProblem("BG414", root.place, "a build needs one step at least")
    for number, step in enumerate(steps):
        yield from _step(step, f"step #{number}")
    yield from _ids(steps)
    yield from _waits(steps)
    yield from _secrets(build, steps)
    yield from _volumes(build, steps)
    yield from _substitutions(build, steps, text, given)
    yield from _sizes(build, steps)
    yield from _logs(build)


def _step(step: Mapping[str, Node], name: str) -> Iterator[FieldProblem]:
    place = step[""].place
    if not value_of(step, "name").text():
        yield FieldProblem(
            "BG414", place, f"{name} has no name: the image that it runs", "name: gcr.io/cloud-builders/docker"
        )
    for other in ("args", "entrypoint"):
        if "script" in step and other in step:
            hint = "put the words into the script, or run it by entrypoint: bash, args: [-c, …]"
            yield FieldProblem(
                "BG414", step[other].place, f"{name} has a script, and with one there can be no {other}", hint
            )
    if "dir" in step and _leaves_workspace(step["dir"].text()):
        yield FieldProblem("BG418", step["dir"].place, f"{name}: its dir lies outside of /workspace")
    for variable in value_of(step, "env").items():
        if variable.kind == "str" and "=" not in variable.text() and "$" not in variable.text():
            yield FieldProblem("BG412", variable.place, f"{name}: '{variable.text()}' is no NAME=VALUE")


def _leaves_workspace(folder: str) -> bool:
    if "$" in folder:
        return False
    path = posixpath.normpath(posixpath.join("/workspace", folder))
    return path != "/workspace" and not path.startswith("/workspace/")


# ------------------------------------------------------------------------------------------ between steps


def _ids(steps: Sequence[Mapping[str, Node]]) -> Iterator[FieldProblem]:
    seen: set[str] = set()
    for step in steps:
        name = value_of(step, "id").text()
        if name and name in seen:
            yield FieldProblem("BG413", step["id"].place, f"two steps have the id '{name}'")
        seen.add(name)


def _waits(steps: Sequence[Mapping[str, Node]]) -> Iterator[FieldProblem]:
    known = {value_of(step, "id").text(): number for number, step in enumerate(steps) if "id" in step}
    after: list[list[int]] = []
    for number, step in enumerate(steps):
        named = [item for item in value_of(step, "waitFor").items() if item.text() != "-"]
        for item in named:
            if item.text() not in known:
                close = _close(item.text(), known)
                yield FieldProblem(
                    "BG415", item.place, f"step #{number} waits for '{item.text()}', and no step has that id", close
                )
        waits = "waitFor" in step and value_of(step, "waitFor").items()
        after.append([known[item.text()] for item in named if item.text() in known] if waits else list(range(number)))
    circle = _circle(after)
    if circle:
        number = next(index for index in circle if "waitFor" in steps[index])
        names = " → ".join(f"#{index}" for index in [*circle, circle[0]])
        yield FieldProblem("BG415", steps[number]["waitFor"].place, f"steps wait for each other in a circle: {names}")


def _circle(after: list[list[int]]) -> list[int]:
    """Steps that wait for each other, in that order; empty where there are none."""
    done: set[int] = set()
    for start in range(len(after)):
        path: list[int] = [start]
        turns = [iter(after[start])]
        while path:
            following = next(turns[-1], None)
            if following is None:
                done.add(path.pop())
                turns.pop()
            elif following in path:
                return path[path.index(following) :]
            elif following not in done:
                path.append(following)
                turns.append(iter(after[following]))
    return []


def _close(name: str, known: Mapping[str, object]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else ""


def _secrets(build: Mapping[str, Node], steps: Sequence[Mapping[str, Node]]) -> Iterator[FieldProblem]:
    defined: set[str] = set()
    for secret in value_of(build, "secrets").items():
        defined |= {key for key, _value in value_of(flat(secret), "secretEnv").pairs()}
    available = flat(value_of(build, "availableSecrets"))
    for secret in value_of(available, "secretManager").items():
        defined.add(value_of(flat(secret), "env").text())
    for secret in value_of(available, "inline").items():
        defined |= {key for key, _value in value_of(flat(secret), "envMap").pairs()}
    options = flat(value_of(build, "options"))
    for number, step in [*enumerate(steps), (None, options)]:
        for variable in value_of(step, "secretEnv").items():
            if variable.text() not in defined:
                who = "the build" if number is None else f"step #{number}"
                message = (
                    f"{who} uses the secret {variable.text()}, and neither availableSecrets nor secrets defines it"
                )
                yield FieldProblem("BG414", variable.place, message, _close(variable.text(), dict.fromkeys(defined)))


def _volumes(build: Mapping[str, Node], steps: Sequence[Mapping[str, Node]]) -> Iterator[FieldProblem]:
    options = flat(value_of(build, "options"))
    shared = value_of(options, "volumes").items()
    users = Counter(
        name
        for step in steps
        for name in {value_of(flat(volume), "name").text() for volume in value_of(step, "volumes").items()}
    )
    for volume in [*shared, *(volume for step in steps for volume in value_of(step, "volumes").items())]:
        fields = flat(volume)
        name, path = value_of(fields, "name").text(), value_of(fields, "path").text()
        if not name or not path:
            yield FieldProblem("BG414", volume.place, "a volume needs a name and a path")
            continue
        place = fields["path"].place
        if not path.startswith("/"):
            yield FieldProblem("BG418", place, f"the path of volume {name} is not absolute")
        elif posixpath.normpath(path) in schema.RESERVED_PATHS:
            yield FieldProblem("BG418", place, f"the path of volume {name} is one that Cloud Build uses itself: {path}")
        if volume not in shared and users[name] < 2:  # noqa: PLR2004  a volume is there to be shared
            yield FieldProblem(
                "BG414", volume.place, f"volume {name} is used by one step only, and Cloud Build refuses that"
            )
    if shared and len(steps) == 1:
        yield FieldProblem(
            "BG414", shared[0].place, "volumes for all steps, and there is one step only: Cloud Build refuses that"
        )


def _logs(build: Mapping[str, Node]) -> Iterator[FieldProblem]:
    options = flat(value_of(build, "options"))
    kept = (
        value_of(build, "logsBucket").text()
        or value_of(options, "logging").text() in _KEEPS_LOGS
        or value_of(options, "defaultLogsBucketBehavior").text() == "REGIONAL_USER_OWNED_BUCKET"
        or "pool" in options
    )
    if value_of(build, "serviceAccount").text() and not kept:
        message = "with a service account of its own, a build has to say where its logs go"
        yield FieldProblem("BG414", build["serviceAccount"].place, message, "options: {logging: CLOUD_LOGGING_ONLY}")


# ------------------------------------------------------------------------------------------ substitutions


def _substitutions(
    build: Mapping[str, Node], steps: Sequence[Mapping[str, Node]], text: str, given: Mapping[str, str]
) -> Iterator[FieldProblem]:
    table = value_of(build, "substitutions")
    options = flat(value_of(build, "options"))
    for key, _value in table.pairs():
        if _KEY.fullmatch(key) is None:
            message = f"the substitution '{key}' is not named like one of yours: _, capitals, digits"
            yield FieldProblem("BG416", table.keys.get(key, table.place), message, f"_{key.strip('_').upper()}")
    if value_of(options, "substitutionOption").text() == "ALLOW_LOOSE":
        return
    used = _used(build, text)
    for name in used.keys() - dict(table.pairs()).keys() - given.keys() - schema.BUILT_IN:
        if used[name] is not None:
            yield _undefined(name, text, used[name] or 0)
    if not any(_maps_itself(fields) for fields in (options, *steps)):
        yield from _unused(table, used)


def _used(build: Mapping[str, Node], text: str) -> dict[str, int | None]:
    """The substitutions that are used, and where first; None for one that brings a value of its own, `${_A:-b}`."""
    used: dict[str, int | None] = {}
    for node in sorted(_substituted(build), key=lambda node: node.place.start):
        for match in _USE.finditer(text, node.place.start, node.place.end):
            name = match["braced"] or match["bare"]
            if name is not None:
                used.setdefault(name, None if match["rest"] else match.start())
    return used


def _unused(table: Node, used: Mapping[str, object]) -> Iterator[FieldProblem]:
    for key, _value in table.pairs():
        if key not in used and _KEY.fullmatch(key):
            message = f"the substitution {key} is not used anywhere, and MUST_MATCH, which is the default, refuses that"
            hint = "remove it, or options: {substitutionOption: ALLOW_LOOSE}; in a script it needs automapSubstitutions"
            yield FieldProblem("BG416", table.keys.get(key, table.place), message, hint)


def _maps_itself(fields: Mapping[str, Node]) -> bool:
    return value_of(fields, "automapSubstitutions").text().lower() in {"true", "yes", "on", "y"}


def _undefined(name: str, text: str, at: int) -> FieldProblem:
    line, start = text.count("\n", 0, at) + 1, text.rfind("\n", 0, at) + 1
    place = YamlPosition(line, at - start + 1, at, at + len(name) + 1)
    if name.startswith("_"):
        hint = f"substitutions: {{{name}: …}}, or in [tool.buildguard.cloud] where a flag or a trigger gives it"
        return FieldProblem("BG416", place, f"the substitution ${name} is defined nowhere", hint)
    message = f"${name} is no substitution that Cloud Build knows"
    return FieldProblem("BG416", place, message, f"a variable of the shell is written $${name}")


def _substituted(build: Mapping[str, Node]) -> Iterator[Node]:
    """Every text in which Cloud Build replaces substitutions: all but scripts."""
    pending = [(key, node) for key, node in build.items() if key]
    while pending:
        key, node = pending.pop()
        if key == "script" or node.alias:
            continue
        if isinstance(node.value, str):
            yield node
        elif isinstance(node.value, list):
            pending += [(key, child) for child in node.value]
        else:
            pending += [(camel(name), child) for name, child in node.pairs()]


# ------------------------------------------------------------------------------------------ limits


def _sizes(build: Mapping[str, Node], steps: Sequence[Mapping[str, Node]]) -> Iterator[FieldProblem]:
    tags, table = value_of(build, "tags"), value_of(build, "substitutions")
    yield from _many(value_of(build, "steps").place, len(steps), schema.STEPS, "steps")
    yield from _many(value_of(build, "images").place, len(value_of(build, "images").items()), schema.IMAGES, "images")
    yield from _many(tags.place, len(tags.items()), schema.TAGS, "tags")
    for tag in tags.items():
        if tag.kind == "str" and "$" not in tag.text() and _TAG.fullmatch(tag.text()) is None:
            yield FieldProblem(
                "BG412", tag.place, f"'{tag.text()}' is no tag: letters, digits, _, . and -, at most 128 of them"
            )
    yield from _many(table.place, len(dict(table.pairs())), schema.SUBSTITUTIONS, "substitutions")
    for key, value in table.pairs():
        yield from _many(
            table.keys.get(key, table.place), len(key.encode()), schema.KEY, f"bytes in the name {key[:20]}…"
        )
        yield from _many(value.place, len(value.text().encode()), schema.VALUE, f"bytes in the value of {key[:20]}")
    for number, step in enumerate(steps):
        for field, most, each in (("args", schema.ARGS, schema.ARG), ("env", schema.ENVS, schema.ENV)):
            values = value_of(step, field).items()
            yield from _many(value_of(step, field).place, len(values), most, f"{field} in step #{number}")
            for item in values:
                yield from _many(
                    item.place, len(item.text()), each, f"characters in one of the {field} of step #{number}"
                )
    timeout = value_of(build, "timeout").text()
    if timeout.endswith("s") and timeout[:-1].isdigit() and int(timeout[:-1]) > schema.LONGEST_BUILD:
        yield FieldProblem("BG417", build["timeout"].place, "a build may take a day at most", "timeout: 86400s")


def _many(place: YamlPosition, count: int, limit: CountLimit, what: str) -> Iterator[FieldProblem]:
    if count > limit.newest:
        yield FieldProblem("BG417", place, f"{count} {what}: Cloud Build takes {limit.newest} at most")
    elif count > limit.first:
        message = f"{count} {what}: Cloud Build took {limit.first} at most for long, and may refuse it"
        yield FieldProblem("BG417", place, message, sure=False)
