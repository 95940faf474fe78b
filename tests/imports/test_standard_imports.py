"""BG601 and BG602 from facts and answers: what fails, how hard, and what something else brings."""

from __future__ import annotations

import pytest

from buildguard.codes import Code
from buildguard.diagnostic import Severity
from buildguard.imports.declared import DECLARES, ProvidedModules
from buildguard.imports.library_answers import Availability, LibraryAnswer
from buildguard.imports.records import FileReach, Guard, ImportForm, ImportStatement
from buildguard.imports.standard_imports import ImportJudge, ImportVerdict, questions_of

_CGI = ImportStatement(1, 1, ImportForm.IMPORT, "cgi")
_SELF = ImportStatement(2, 1, ImportForm.FROM, "typing", ("Self", "List"))
_REACHED = FileReach(certain=True)
_ANSWERS = {
    "cgi": LibraryAnswer(Availability.MISSING, "removed in Python 3.13"),
    "typing": LibraryAnswer(Availability.PRESENT, "", {"Self": Availability.MISSING, "List": Availability.PRESENT}),
    "socket": LibraryAnswer(Availability.PRESENT, "", {"AF_X": Availability.UNDECIDED}),
}


def _judge(*statements: ImportStatement, reach: FileReach = _REACHED, brings: str = "") -> ImportVerdict:
    return ImportJudge(_ANSWERS, "3.13", lambda _module: brings).judge(statements, reach)


def test_what_is_missing_is_an_error() -> None:
    findings = _judge(_CGI, _SELF).findings

    assert [(finding.code, finding.severity, finding.range[:2]) for finding in findings] == [
        ("BG601", Severity.ERROR, (1, 1)),
        ("BG602", Severity.ERROR, (2, 1)),
    ]
    assert findings[0].message == "Python 3.13 has no module cgi: removed in Python 3.13"
    assert findings[1].message == "cannot import name Self from typing on Python 3.13"
    assert findings[1].hint == "from typing_extensions import Self"


def test_a_name_by_a_dot_has_words_of_its_own() -> None:
    by_dot = ImportStatement(3, 5, ImportForm.ATTRIBUTE, "typing", ("Self",))
    of_none = by_dot._replace(module="cgi", names=("escape",))

    (finding,) = _judge(by_dot, of_none).findings

    assert (finding.code, finding.message) == (Code.BG602, "module typing has no attribute Self on Python 3.13")


def test_what_the_project_sets_itself_is_undecided() -> None:
    judge = ImportJudge(_ANSWERS, "3.13", lambda _module: "", ["typing.Self"])

    verdict = judge.judge([_SELF], _REACHED)

    assert verdict == ImportVerdict((), ((2, "the project sets the name itself", True),))


@pytest.mark.parametrize("guard", [Guard.FALSE, Guard.EXCEPT, Guard.TESTED, Guard.HANDLER])
def test_what_is_guarded_is_not_reported(guard: Guard) -> None:
    assert _judge(_CGI._replace(guard=guard), _SELF._replace(guard=guard)) == ImportVerdict((), ())


def test_a_missing_name_is_no_missing_module() -> None:
    (finding,) = _judge(_CGI._replace(guard=Guard.MODULE_ONLY), _SELF._replace(guard=Guard.MODULE_ONLY)).findings

    assert (finding.code, finding.severity) == ("BG602", Severity.ERROR)


@pytest.mark.parametrize(
    "statement",
    [
        _CGI._replace(late=True),
        _CGI._replace(lazy=True),
        _CGI._replace(guard=Guard.CONDITIONAL),
        _CGI._replace(guard=Guard.MAIN),
    ],
)
def test_what_may_not_run_is_a_warning(statement: ImportStatement) -> None:
    (finding,) = _judge(statement).findings

    assert finding.severity is Severity.WARNING


def test_what_nothing_reaches_is_a_warning_and_a_chain_is_named() -> None:
    (unreached,) = _judge(_CGI, reach=FileReach(certain=False)).findings
    (reached,) = _judge(_CGI, reach=FileReach(certain=True, chain=("app.main", "app.db"))).findings

    assert unreached.severity is Severity.WARNING
    assert reached.message.endswith("(app.main → app.db → cgi)")


def test_a_file_for_another_system_is_an_error_only_where_it_is_reached() -> None:
    answers = {"msvcrt": LibraryAnswer(Availability.MISSING, "only on Windows")}
    statement = ImportStatement(1, 1, ImportForm.IMPORT, "msvcrt")
    judge = ImportJudge(answers, "3.12", lambda _module: "")

    (loose,) = judge.judge([statement], _REACHED).findings
    (reached,) = judge.judge([statement], FileReach(certain=True, chain=("main",))).findings

    assert (loose.severity, reached.severity) == (Severity.WARNING, Severity.ERROR)


def test_what_cannot_be_decided_is_counted() -> None:
    unknown = ImportStatement(3, 1, ImportForm.IMPORT, "json")
    depends = ImportStatement(4, 1, ImportForm.FROM, "socket", ("AF_X",))

    verdict = _judge(_CGI, unknown, depends, brings="webob may bring cgi")

    assert verdict.findings == ()
    assert verdict.undecided == (
        (1, "webob may bring cgi", True),
        (3, "the target's interpreter could not be asked", True),
        (4, "whether the name is there depends on how the interpreter was built", True),
    )


def test_each_module_is_asked_once_and_what_is_not_of_the_library_never() -> None:
    other = ImportStatement(1, 1, ImportForm.FROM, "typing", ("Any",))
    star = ImportStatement(1, 1, ImportForm.FROM, "typing", ("*",))
    own = ImportStatement(1, 1, ImportForm.FROM, "typing", ("x",), level=1)
    third = ImportStatement(1, 1, ImportForm.IMPORT, "requests")

    assert questions_of([_SELF, other, star, own, third]) == {("typing", frozenset({"Self", "List", "Any"}))}


@pytest.mark.parametrize(
    ("path", "text", "module", "brings"),
    [
        ("requirements.txt", "setuptools>=70\n", "distutils", True),
        ("requirements.txt", "setuptools-scm\n", "distutils", True),
        ("requirements.txt", "flask==3.0\n", "distutils", False),
        ("requirements.txt", "gunicorn==20.1.0\n", "distutils", True),
        ("requirements.txt", "gunicorn==22.0.0\n", "distutils", False),
        ("pyproject.toml", '[build-system]\nrequires = ["setuptools"]\n[project]\nname = "x"\n', "distutils", False),
        ("pyproject.toml", '[project]\ndependencies = ["setuptools"]\n', "distutils", True),
        ("setup.py", "from setuptools import setup\nsetup()\n", "distutils", False),
        ("uv.lock", '[[package]]\nname = "setuptools"\n', "distutils", True),
        ("Dockerfile", "FROM x\nRUN pip install \\\n  setuptools\n", "distutils", True),
        ("Dockerfile", 'FROM x\nCMD ["setuptools"]\n', "distutils", False),
        ("requirements.txt", "legacy_cgi\n", "cgi", True),
        ("requirements.txt", "standard-telnetlib\n", "telnetlib", True),
        ("requirements.txt", "WebOb\n", "cgi", True),
    ],
)
def test_a_declared_distribution_brings_a_module_back(path: str, text: str, module: str, *, brings: bool) -> None:
    assert DECLARES.search(path)

    assert bool(ProvidedModules(lambda: [(path, text)], []).brings(module)) is brings


def test_a_module_of_the_projects_own_is_no_module_of_the_library() -> None:
    provided = ProvidedModules(list, ["app/imp.py", "src/cgi/__init__.py"])

    assert provided.brings("imp")
    assert provided.brings("cgi.x")
    assert not provided.brings("telnetlib")


def test_a_name_of_windows_in_a_file_that_nothing_reaches_is_undecided() -> None:
    row = _SELF._replace(module="ctypes", names=("WinDLL", "WinError"))
    missing = dict.fromkeys((*row.names, "gone"), Availability.MISSING)
    judge = ImportJudge({"ctypes": LibraryAnswer(Availability.PRESENT, "", missing)}, "3.13", lambda _module: "")

    assert judge.judge([row], FileReach(False)).undecided == (
        (2, "only Windows has the name, and no start is known to run the file", False),
    )
    assert len(judge.judge([row], FileReach(False, ("main", "app"))).findings) == 1
    assert judge.judge([row], FileReach(True)).findings == ()  # no start is known
    assert len(judge.judge([row], FileReach(True, ("main",))).findings) == 1
    assert len(judge.judge([row._replace(names=("WinDLL", "gone"))], FileReach(False)).findings) == 1
