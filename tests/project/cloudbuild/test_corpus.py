"""Generated build files in real shapes, compared with gcloud's recorded answers and with what triggers and the service refuse.

`python -m tests.project.cloudbuild.test_lint` asks the gcloud on PATH again.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from buildguard.diagnostic import Severity
from buildguard.errors import UsageError
from buildguard.project import yaml
from buildguard.project.cloudbuild.edit import NewStep, with_steps
from buildguard.project.cloudbuild.lint import problems
from tests.conftest import ALL, sample
from tests.project.cloudbuild.corpus import CorpusFile, corpus

_FILES = list(corpus())
# what every run looks at twice, or with our step in it: whatever is refused, and a third of the rest
_SOME = [*(file for file in _FILES if file.refused_by), *sample((file for file in _FILES if not file.refused_by), 3)]
_MARK = ".buildguard/"
_STEP = NewStep("buildguard", "python:3.11-slim", "python3", ("-I", "-c"), f'name = "{_MARK}verify.py"\nprint(name)\n')


@pytest.fixture(scope="module", autouse=True)
def _each_text_is_parsed_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml, "read", functools.cache(yaml.read))
        yield


@functools.cache
def guarded(file: CorpusFile) -> str:
    """A file with our step in it, empty where it can take none."""
    try:
        return with_steps(file.text.encode(), "cloudbuild.yaml", [_STEP], _MARK).data.decode()
    except UsageError:
        return ""


def texts(with_our_step: Sequence[CorpusFile] = _FILES) -> dict[str, str]:
    """Every file by its name as it is, and some of them with our step in it."""
    plain = {file.name: file.text for file in _FILES}
    return plain | {f"{file.name}, guarded": text for file in with_our_step if (text := guarded(file))}


def _answers() -> dict[str, str]:
    recorded: dict[str, str] = json.loads(Path(__file__).with_name("gcloud.json").read_text("utf-8"))["corpus"]
    return recorded


@functools.cache
def _errors(text: str, builds: str) -> list[str]:
    found = problems(text.encode(), "cloudbuild.yaml", {}, builds)
    return [f"{one.range.line}:{one.range.column} {one.message}" for one in found if one.severity is Severity.ERROR]


def test_the_corpus_is_large_and_every_answer_is_recorded() -> None:
    assert len({file.text for file in _FILES}) == len({file.name for file in _FILES}) == len(_FILES) >= 120
    answered = set(_answers())
    assert {name for name in answered if not name.endswith(", guarded")} == {file.name for file in _FILES}
    assert set(texts(_SOME)) <= answered
    assert not ALL or answered == set(texts(_SOME))


@pytest.mark.parametrize("builds", ["", "trigger", "submit"])
def test_every_error_is_one_that_a_build_meets_and_none_is_missed(builds: str) -> None:
    answers = _answers()
    for file in _SOME if builds else _FILES:
        gcloud = bool(answers[file.name])
        assert gcloud == ("gcloud" in file.refused_by), (file.name, answers[file.name])
        refused = bool(file.refused_by & {builds} if builds else file.refused_by - {"submit"})
        errors = _errors(file.text, builds)
        assert bool(errors) == refused, (file.name, errors, file.text)
        assert not [error for error in errors if "None" in error.split(" ")[0]]


def test_gcloud_accepts_each_file_with_our_step_in_it() -> None:
    answers = _answers()
    accepted = [file for file in _SOME if not answers[file.name]]

    assert len(accepted) > (100 if ALL else 30)
    for number, file in enumerate(accepted):
        text = guarded(file)
        assert text
        assert answers[f"{file.name}, guarded"] == ""
        for builds in ("", "trigger", "submit") if number % 4 == 0 or ALL else ("",):
            assert len(_errors(text, builds)) == len(_errors(file.text, builds)), file.name


def test_every_byte_stays_and_a_second_run_changes_nothing() -> None:
    for file in _SOME:
        text = guarded(file)
        if not text:
            continue
        rest = iter(text)
        assert all(character in rest for character in file.text), file.name
        assert with_steps(text.encode(), "cloudbuild.yaml", [_STEP], _MARK).data == text.encode(), file.name
