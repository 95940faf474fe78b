"""The catalogue: every entry knows its real messages, takes none of another's, and leaves innocent lines alone."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable
from typing import Any

import pytest

from buildguard.diagnose.cause import CauseId
from buildguard.diagnose.hypotheses import diagnose
from buildguard.diagnose.incident import IncidentEvidence
from buildguard.diagnose.known_messages import KNOWN, match_messages
from buildguard.diagnose.log_parser import read
from tests.diagnose.messages import INNOCENT, MESSAGES

_IDS = {known.id for known in KNOWN}
_CAUSES = [cause.value for cause in CauseId]


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in MESSAGES.items() for text in texts])
def test_a_real_message_is_known(name: str, text: str) -> None:
    (found,) = match_messages((text,))

    assert found.message.id == name
    assert re.search(r"\{\w+\}", found.says + found.remedy) is None  # every group has its value
    assert found.message.remedy or not found.message.cause


def test_every_entry_has_a_real_message() -> None:
    assert set(MESSAGES) == _IDS
    assert len(_IDS) == len(KNOWN)
    assert {known.cause for known in KNOWN} <= {*_CAUSES, ""}


@pytest.mark.parametrize("text", INNOCENT)
def test_innocent_lines(text: str) -> None:
    assert match_messages((text,)) == []


def test_patterns_take_no_long_time_over_hostile_lines() -> None:
    """Linear: a pattern that backtracks would not come back."""
    for known in KNOWN:
        for filler in ("a", " ", "'", "\\", ":", "environment variable ", "COPY failed: stat ", '"/'):
            re.search(known.pattern, (known.needle + filler * 1_500)[:1_500])


def _begins_with_any_number(parts: Iterable[tuple[object, Any]]) -> bool:
    """Whether the first thing that a pattern looks for is repeated without a bound, so that each place of a line is a start."""
    for kind, value in parts:
        match str(kind):
            case "MAX_REPEAT" | "MIN_REPEAT":
                least, most, inner = value
                if str(most) == "MAXREPEAT" or _begins_with_any_number(inner):
                    return True
                if least:
                    return False
            case "SUBPATTERN":
                return _begins_with_any_number(value[3])
            case "BRANCH":
                return any(map(_begins_with_any_number, value[1]))
            case _:
                return False  # a character, or what stands before the start
    return False


def test_no_pattern_begins_at_each_place_of_a_long_word() -> None:
    parse = importlib.import_module("re._parser").parse

    assert [known.id for known in KNOWN if _begins_with_any_number(parse(known.pattern))] == []
    assert list(map(_begins_with_any_number, map(parse, (r"\w+ x", r"a|(?P<n>\S+) y", r"x?\w*z")))) == [True] * 3
    assert (
        list(map(_begins_with_any_number, map(parse, (r"a\w+", r"(?<!\w)\w+ x", r"^\s*x", r"x{1,9}y")))) == [False] * 4
    )


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (
            "PERMISSION_DENIED: Permission 'iam.serviceaccounts.actAs' denied on service account 1-compute@developer.gserviceaccount.com (or it may not exist).",
            "gcloud iam service-accounts add-iam-policy-binding 1-compute@developer.gserviceaccount.com --member=MEMBER",
        ),
        (
            MESSAGES["secret-denied"][0],
            "gcloud projects add-iam-policy-binding 123 --member=serviceAccount:123-compute@developer.gserviceaccount.com --role=roles/secretmanager.secretAccessor",
        ),
        (
            "Cloud Run Admin API has not been used in project 1 before or it is disabled. Enable it by visiting https://console.developers.google.com/apis/api/run.googleapis.com/overview?project=1 then retry.",
            "gcloud services enable run.googleapis.com",
        ),
        (MESSAGES["no-docker-credentials"][0], "gcloud auth configure-docker us-central1-docker.pkg.dev"),
        ("ERROR: Cloud Run Admin API has not been used in project 1 before or it is disabled.", "gcloud services enable NAME"),
    ],
)  # fmt: skip
def test_a_remedy_is_a_command_for_what_the_line_names(text: str, remedy: str) -> None:
    (found,) = match_messages((text,))

    assert found.remedy.startswith(remedy)
    assert "something" not in found.remedy


def test_a_worker_that_gunicorn_killed_for_its_silence_missed_no_memory() -> None:
    late = "[2024-04-07 07:57:07 +0000] [11] [CRITICAL] WORKER TIMEOUT (pid:16)"
    killed = "[2024-04-07 07:57:08 +0000] [11] [ERROR] Worker (pid:{}) was sent SIGKILL! Perhaps out of memory?"

    assert [match.message.id for match in match_messages((late, killed.format(16)))] == ["worker-timeout"]
    assert [match.message.id for match in match_messages((late, killed.format(17)))] == [
        "worker-timeout",
        "worker-killed",
    ]


def test_a_version_that_pip_could_not_look_up_exists() -> None:
    broken = MESSAGES["index-given-up"][0]
    none = MESSAGES["no-matching-version"][-2:]

    assert [match.message.id for match in match_messages((broken, *none))] == ["index-given-up"]
    assert diagnose(_evidence("\n".join((broken, *none)))).sentence.startswith("the package index could not be reached")


def test_a_report_of_cloud_run_leads_to_the_log_of_its_revision() -> None:
    text = MESSAGES["not-listening"][0]

    found = diagnose(_evidence(text))

    assert found.cause == "unknown"
    assert found.sentence.startswith("the container did not start: this log has Cloud Run's report")
    assert found.remedies[0].startswith("buildguard diagnose --revision x-00002-abc ")


def test_pip_names_what_excludes_each_other() -> None:
    found = diagnose(
        _evidence("\n".join((*MESSAGES["requirements-conflict"], *MESSAGES["requirements-conflict-report"][:1])))
    )

    assert found.sentence == "these requirements exclude each other: -r requirements.txt (line 3) and flask==1.0"


@pytest.mark.parametrize(
    ("frames", "cause", "remedy"),
    [
        ("", "permission", "RUN chown -R USER /srv/cache before USER in the Dockerfile, or write below /tmp"),
        ('  File "/usr/lib/python3.11/socketserver.py", line 456, in server_bind\n', "port", "listen on the port in $PORT, above 1023"),
    ],
)  # fmt: skip
def test_what_the_user_of_the_program_may_not_do(frames: str, cause: str, remedy: str) -> None:
    path = "/srv/cache" if cause == "permission" else ""
    message = f"PermissionError: [Errno 13] Permission denied{path and f': {path!r}'}\n"

    found = diagnose(_evidence(f"Traceback (most recent call last):\n{frames}{message}"))

    assert (found.cause, found.remedies[0]) == (cause, remedy)


_TARGETS = {"removed-from-python": "3.12"}  # 3.11 has these modules: with that target another Python ran


def _evidence(text: str, target: str = "3.11") -> IncidentEvidence:
    found = read(text.encode())
    from buildguard.diagnose.incident import LocatedFailure

    return IncidentEvidence(
        tuple(LocatedFailure(one, None) for one in found.failures), tuple(match_messages(found.lines)), (), True, text, target, "Dockerfile:1",
        f"3 sources, compiled by CPython {target}.9", "compiled", (), (), (), (), (),
    )  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in MESSAGES.items() for text in texts])
def test_it_leads_to_its_cause(name: str, text: str) -> None:
    known = next(one for one in KNOWN if one.id == name)

    found = diagnose(_evidence(text, _TARGETS.get(name, "3.11")))

    assert found.cause == (known.cause or "unknown")
    assert found.exit_code == (1 if known.cause else 3)
    proven = [one.id for one in found.hypotheses if one.verdict == "proven"]
    assert proven == ([known.cause] if known.cause else [])
    assert [one.id for one in found.hypotheses] == _CAUSES
    assert all(one.reason for one in found.hypotheses if one.verdict == "untested")
    if known.cause:
        assert found.remedies
