"""What releases disagree on: every release at hand is asked, and a repair relies on none of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from buildguard.fstrings.disagreements import Disagreement
from buildguard.fstrings.fix_plan import plan_rewrite
from buildguard.system.pythons import candidates
from tests.conftest import missing
from tests.wasm import RELEASES, ask_wasm

_RUN = r"""
import contextlib, io, json, sys, warnings
warnings.simplefilter("ignore")
printed = []
for source in json.loads(ASKED):
    text = io.StringIO()
    try:
        with contextlib.redirect_stdout(text):
            exec(compile(source, "<x>", "exec", 0, True), {"d": {"a": 1}, "w": 3, "x": 5})
        printed.append(text.getvalue())
    except SyntaxError as error:
        printed.append("SyntaxError: %s" % error.msg)
    except Exception as error:
        printed.append("%s: %s" % (type(error).__name__, error))
json.dumps(["%d.%d.%d" % sys.version_info[:3], printed])
"""
_EXAMPLES = [disagreement.value.example for disagreement in Disagreement]


def _check(release: str, printed: Sequence[str]) -> None:
    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split(".")]

    for disagreement, text in zip(Disagreement, printed, strict=True):
        answers = disagreement.value.answers
        assert text in [answer.printed for answer in answers], (release, disagreement)
        for answer in answers:
            if numbers(answer.first) <= numbers(release) <= numbers(answer.last):
                assert text == answer.printed, (release, disagreement)


@pytest.mark.interpreters
def test_every_release_at_hand_answers_as_recorded() -> None:
    program = _RUN.replace("ASKED", "sys.stdin.read()").replace("json.dumps([", "print(json.dumps([").rstrip() + ")\n"
    releases = set()
    for version in ("3.12", "3.13", "3.14", "3.15"):
        for path, _where in candidates(version, Path("/nowhere")):
            argv = [str(path), "-I", "-S", "-B", "-c", program]
            answer = subprocess.run(argv, input=json.dumps(_EXAMPLES).encode(), capture_output=True, check=True).stdout
            release, printed = json.loads(answer)
            _check(release, printed)
            releases.add(release)
    if not releases:
        missing("Python 3.12 or later", "pyenv install 3.13")


@pytest.mark.interpreters
@pytest.mark.parametrize("version", RELEASES)
def test_newer_releases_in_webassembly_answer_as_recorded(version: str, tmp_path: Path) -> None:
    release, printed = ask_wasm(version, _RUN, _EXAMPLES, tmp_path)

    assert release.startswith(f"{version}.")
    _check(release, printed)


@pytest.mark.parametrize("disagreement", Disagreement)
def test_a_repair_relies_on_none_of_it(disagreement: Disagreement) -> None:
    plan = plan_rewrite(f"{disagreement.value.example}\n", 11)

    example = disagreement.value.example
    if plan.after == f"{example}\n":
        assert [fix.reason for fix in plan.fixes] == [disagreement.reason]
    else:  # other quotes around the f-string: what is printed keeps its spelling
        assert example.removeprefix("print(f'").removesuffix("')") in plan.after
    assert len({answer.printed for answer in disagreement.value.answers}) == len(disagreement.value.answers)
