"""The cloud engine: it believes an interpreter that compiles as its version does, and hands out what was answered."""

from __future__ import annotations

import pytest

from buildguard.engines.cloud import CloudAnswer, CloudEngine
from buildguard.engines.cloud_results import ProbeResults
from buildguard.engines.engine import ReadyEngine, Source, UnavailableEngine
from buildguard.engines.pool import source_of
from buildguard.engines.verify_interpreter import verification_sources
from buildguard.engines.worker import Greeting
from buildguard.errors import UnprovenError
from buildguard.project.proof_grade import ProofGrade

_IMAGE = "python:3.11-slim"
_ACCEPTED = 4  # of the verification sources, in their order, by 3.11


def _greeting(version: str = "3.11.9") -> Greeting:
    return Greeting("cpython", version, "banner", "abi", "/usr/bin/python3", "sha256", libc="musl")


def _answer(source: Source, kind: bytes = b"", mark: bytes = b"A") -> tuple[bytes, ...]:
    fields = [b"0", b"%d" % len(source.data), source.digest.hex().encode(), kind, b"words", b"parser"]
    return (mark, *fields, b"1", b"2", b"1", b"3", b"0", b"")


def _results(*more: tuple[Source, bytes], version: str = "3.11.9") -> ProbeResults:
    answers = {
        source.digest: _answer(source, b"" if number < _ACCEPTED else b"SyntaxError")
        for number, source in enumerate(verification_sources())
    }
    answers |= {source.digest: _answer(source, kind) for source, kind in more}
    return ProbeResults(_greeting(version), answers, {}, {}, b"")


class _Session:
    def __init__(self, outcome: ProbeResults | UnprovenError) -> None:
        self.outcome = outcome
        self.images: list[str] = []

    def answer(self, image: str) -> CloudAnswer:
        self.images.append(image)
        if isinstance(self.outcome, UnprovenError):
            raise self.outcome
        return CloudAnswer(self.outcome, "sha256:1")


def _engine(outcome: ProbeResults | UnprovenError) -> CloudEngine:
    return CloudEngine(_Session(outcome), _IMAGE, ProofGrade.IMAGE)


def test_nothing_is_asked_before_the_answer_is_needed() -> None:
    session = _Session(_results())
    engine = CloudEngine(session, _IMAGE, ProofGrade.IMAGE)

    engine.begin()
    assert not session.images
    ready = engine.prepare()

    assert session.images == [_IMAGE]
    assert isinstance(ready, ReadyEngine)
    assert (ready.engine, ready.proof, ready.interpreter) == ("cloud", "image", "CPython 3.11.9")
    assert (ready.image, ready.image_digest, ready.libc) == (_IMAGE, "sha256:1", "musl")
    engine.close()


def test_the_image_is_part_of_what_a_verdict_depends_on() -> None:
    ready = _engine(_results()).prepare()

    assert isinstance(ready, ReadyEngine)
    assert ready.identity.endswith("\nsha256:1")


def test_each_source_gets_the_answer_for_its_own_bytes() -> None:
    good, bad, unknown = (source_of(n, data) for n, data in enumerate((b"ok = 1\n", b"no(\n", b"other\n")))
    engine = _engine(_results((good, b""), (bad, b"SyntaxError")))
    engine.prepare()

    first, second, third = engine.compile([good, bad, unknown])

    assert first.rejected is None
    assert not first.unproven
    assert second.rejected is not None
    assert second.rejected.kind == "SyntaxError"
    assert third.unproven  # never clean for want of an answer


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (UnprovenError("the build failed", hint="look at it"), f"{_IMAGE}: the build failed"),
        (_results(version="3.12.1"), "does not compile as Python 3.12 does"),
        (_results(version="3.99.0"), "runs Python 3.99.0"),
        (_results((verification_sources()[0], b"SyntaxError")), "does not compile as Python 3.11 does"),
        (ProbeResults(_greeting(), {}, {}, {}, b""), "does not compile as Python 3.11 does"),
        (
            ProbeResults(
                _greeting(),
                {source.digest: (b"A", b"0", b"no", b"x") for source in verification_sources()},
                {},
                {},
                b"",
            ),
            "the answers of the build cannot be read",
        ),
    ],
)
def test_an_answer_that_proves_nothing_makes_the_engine_unavailable(
    outcome: ProbeResults | UnprovenError, reason: str
) -> None:
    answer = _engine(outcome).prepare()

    assert isinstance(answer, UnavailableEngine)
    assert answer.engine == "cloud"
    assert reason in answer.reason


def test_a_broken_answer_for_a_source_is_unproven() -> None:
    source = source_of(0, b"ok = 1\n")
    results = _results()
    engine = _engine(results._replace(answers={**results.answers, source.digest: (b"A", b"0", b"99", b"x")}))
    engine.prepare()

    with pytest.raises(UnprovenError, match="cannot be read"):
        list(engine.compile([source]))
