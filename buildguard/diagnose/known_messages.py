"""Which known failure messages a log has: the tables of `messages`, and what takes several lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.diagnose import health, missing_variables, permissions, ports
from buildguard.diagnose.cause import CauseId
from buildguard.diagnose.log_parser import straighten
from buildguard.diagnose.messages import configuration, installing, platform, python_version, services, starting
from buildguard.diagnose.messages.message import KnownMessage
from buildguard.diagnose.settings_errors import SettingsError, read_settings_errors

# The more specific before the less: of two that match one line, the first counts.
KNOWN: tuple[KnownMessage, ...] = (
    *python_version.MESSAGES,
    *configuration.MESSAGES,
    *services.MESSAGES,
    *starting.MESSAGES,
    *installing.MESSAGES,
    *platform.MESSAGES,
)
_COMPILED = tuple((known, re.compile(known.pattern)) for known in KNOWN)
_ORDINALS = frozenset(
    [
        "other",
        "third",
        "fourth",
        "fifth",
        "sixth",
        "seventh",
        "eighth",
        "ninth",
        "tenth",
        "eleventh",
        "twelfth",
        "thirteenth",
    ]
)
_PID = lazy_pattern(r"\(pid:(\d+)\)")
_MOST_LINES, _LAST_LINES = 1000, 300
_GRANT = "gcloud projects add-iam-policy-binding"
# What takes several lines.
_MISSING_SETTINGS = KnownMessage("missing-settings", CauseId.MISSING_VARIABLE, "", "", "", "")
_WRONG_SETTINGS = KnownMessage(
    "wrong-settings", CauseId.CONFIGURATION, "", "", "{name} refuses {field} ({kind}); it is set, and wrong",
    "correct or remove {field}: gcloud run services update SERVICE --update-env-vars {variable}=VALUE",
)  # fmt: skip
_WRONG_ADDRESS = KnownMessage(
    "wrong-address", CauseId.PORT, "", "", "{name}",
    "listen on 0.0.0.0:$PORT: gunicorn --bind 0.0.0.0:$PORT, uvicorn or flask run --host 0.0.0.0 --port $PORT",
)  # fmt: skip
_REFUSED_PROBE = KnownMessage(
    "refused-probe", CauseId.CONFIGURATION, "", "", "{name}",
    "add that route, or name another in the probe: gcloud run services update SERVICE --startup-probe httpGet.path=/PATH", 1,
)  # fmt: skip
# Exceptions that come of another one: they lead nowhere.
CONSEQUENCES = frozenset(
    {
        "HaltServer",
        "ExceptionGroup",
        "BaseExceptionGroup",
        "SystemExit",
        "KeyboardInterrupt",
        "CalledProcessError",
        "ChildFailedError",
        "CancelledError",
    }
)


class KnownMessageMatch(NamedTuple):
    """A known message in a log: which one, on which of its lines, the line itself, and the groups of its pattern.

    `variables` are those that it says are not set.
    """

    message: KnownMessage
    line: int
    text: str
    groups: Mapping[str, str]
    variables: tuple[str, ...] = ()

    @property
    def says(self) -> str:
        """What it means."""
        return missing_variables.sentence(self.variables) if self.variables else self._filled(self.message.says)

    @property
    def remedy(self) -> str:
        """What to do about it."""
        if self.variables:
            return missing_variables.set_command(self.variables)
        if self.message.remedy.startswith(_GRANT):
            return permissions.grant_command(self.groups, self.text, self.message.remedy)
        return self._filled(self.message.remedy, "NAME")

    def _filled(self, text: str, unknown: str = "something") -> str:
        for name, value in self.groups.items():
            text = text.replace(f"{{{name}}}", value)
        text = re.sub(r"(?::| on) \{\w+\}", "", text)
        return re.sub(r"\{\w+\}", unknown, text)


def match_messages(lines: Sequence[str], suspicious: Sequence[int] | None = None) -> list[KnownMessageMatch]:
    """The known messages among some lines, at most one for each line; an error of settings counts once.

    `suspicious` are the indexes of the lines that look like an error, where they are known already.
    """
    numbers = health.error_numbers(lines) if suspicious is None else suspicious
    settings = {error.line: error for error in read_settings_errors(lines)}
    within = {number for error in settings.values() for number in range(error.line, error.last + 1)}
    matches = [match for match in _by_line(lines, numbers) if match.line not in within]
    matches += [_of_settings(error, lines[error.line - 1]) for error in settings.values()]
    matches = _without_unread_index(_without_killed_by_timeout(matches))
    for message, (number, words) in (
        (_WRONG_ADDRESS, ports.wrong_address(lines)),
        (_REFUSED_PROBE, ports.refused_probe(lines)),
    ):
        if number:
            matches.append(KnownMessageMatch(message, number, lines[number - 1].strip(), {"name": words}))
    return sorted(matches, key=lambda match: match.line)


def _without_killed_by_timeout(matches: list[KnownMessageMatch]) -> list[KnownMessageMatch]:
    """Those matches without the workers that gunicorn itself killed because they did not answer: no memory was missing."""
    late = {pid for match in matches if match.message.id == "worker-timeout" for pid in _PID.findall(match.text)}
    return [
        match for match in matches if match.message.id != "worker-killed" or late.isdisjoint(_PID.findall(match.text))
    ]


def _without_unread_index(matches: list[KnownMessageMatch]) -> list[KnownMessageMatch]:
    """Those matches without the versions that pip did not find because it could not read the index."""
    given_up = any(match.message.id in {"index-given-up", "index-denied"} for match in matches)
    return [match for match in matches if not (given_up and match.message.id == "no-matching-version")]


def _by_every_line(lines: Sequence[str]) -> list[KnownMessageMatch]:
    """Those among the last lines whatever these look like, for a log whose error-like lines are all unknown."""
    first = max(0, len(lines) - _LAST_LINES)
    plain = [straighten(line) if not health.is_passed_test(line) else "" for line in lines[first:]]
    matches = (_first_match(first + at, lines[first + at], line) for at, line in enumerate(plain) if line.strip())
    return [match for match in matches if match is not None]


def _first_match(number: int, line: str, plain: str) -> KnownMessageMatch | None:
    for known, pattern in _COMPILED:
        match = pattern.search(plain) if known.needle in plain else None
        if match is not None:
            return _match(known, number + 1, line.strip(), match)
    return None


def _by_line(lines: Sequence[str], numbers: Sequence[int]) -> list[KnownMessageMatch]:
    matches = list(_suspicious(lines, numbers))
    if not numbers or any(match.message.cause for match in matches):
        return matches
    known = {match.line for match in matches}
    return [*matches, *(match for match in _by_every_line(lines) if match.line not in known)]


def _suspicious(lines: Sequence[str], numbers: Sequence[int]) -> Iterator[KnownMessageMatch]:
    lines = ["" if health.is_passed_test(line) else line for line in lines]
    text = straighten("\n".join(lines))
    anywhere = [known for known in _COMPILED if known[0].needle and known[0].needle in text]
    suspicious = _last_distinct(lines, numbers)
    for number, line in enumerate(lines):
        if number not in suspicious and not any(known.needle in line for known, _pattern in anywhere):
            continue
        plain = straighten(line)
        possible = _COMPILED if number in suspicious else anywhere
        for known, pattern in possible:
            match = pattern.search(plain) if known.needle in plain else None
            if match is not None:
                yield _match(known, number + 1, line.strip(), match)
                break


def _last_distinct(lines: Sequence[str], numbers: Sequence[int]) -> set[int]:
    """The last lines that look like an error, each text once: a log of nothing else takes no long time."""
    chosen: dict[str, int] = {}
    for number in reversed(numbers):
        chosen.setdefault(lines[number], number)
        if len(chosen) >= _MOST_LINES:
            break
    return set(chosen.values())


def _match(known: KnownMessage, number: int, line: str, match: re.Match[str]) -> KnownMessageMatch:
    groups = {key: value for key, value in match.groupdict().items() if value is not None}
    name = next((value for key, value in groups.items() if key in _ORDINALS), "")
    if name:
        groups.setdefault("name", name)
    is_variable = known.cause == CauseId.MISSING_VARIABLE and known.id not in {
        "variable-of-pydantic",
        "no-database-url",
    }
    variables = missing_variables.variables_in(line, groups.get("name", "")) if is_variable else ()
    return KnownMessageMatch(known, number, line, groups, variables)


def _of_settings(error: SettingsError, line: str) -> KnownMessageMatch:
    if error.missing:
        return KnownMessageMatch(_MISSING_SETTINGS, error.line, line.strip(), {"name": error.model}, error.missing)
    name, kind = error.wrong[0]
    variable = name.replace(" -> ", "__").replace(".", "__").upper()
    groups = {"name": error.model, "field": name, "kind": kind, "variable": variable}
    return KnownMessageMatch(_WRONG_SETTINGS, error.line, line.strip(), groups)
