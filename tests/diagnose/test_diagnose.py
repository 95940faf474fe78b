"""`buildguard diagnose`: from a pasted log and a repository to the right cause and place, and to no other."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import REPOSITORY, interpreter
from tests.diagnose.envelopes import ENVELOPES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Project, Result

_OUTAGE = REPOSITORY / "examples/outage"
_PLACES = [("app/orders.py", 13), ("app/invoices.py", 8), ("app/notify.py", 5)]
_BROKEN = 'def show(row):\n    return f"{row["id"]}"\n'
_FIXED = "def show(row):\n    return f\"{row['id']}\"\n"
_DOCKERFILE = "FROM python:3.11-slim\nWORKDIR /srv\nCOPY src/ ./\nCMD python -m app.main\n"


def _diagnosed(made: Project, log: str | None, *words: str) -> tuple[Result, dict[str, Any]]:
    args = []
    if log is not None:
        made.write({".git/pasted.log" if (made.path / ".git").exists() else "pasted.log": log})
        args = ["--log", ".git/pasted.log" if (made.path / ".git").exists() else "pasted.log"]
    result = made.run("diagnose", *args, "--format", "json", *words)
    assert result.err == "" or result.code == 2, result.err
    return result, result.json if result.out else {}


def _verdicts(found: dict[str, Any]) -> dict[str, str]:
    return {one["id"]: one["verdict"] for one in found["hypotheses"]}


def _traceback(path: str, line: int, source: str, end: str) -> str:
    return f'Traceback (most recent call last):\n  File "{path}", line {line}\n    {source}\n    ^\n{end}\n'


def _imported(path: str, line: int, source: str, end: str) -> str:
    return f'Traceback (most recent call last):\n  File "{path}", line {line}, in <module>\n    {source}\n{end}\n'


@pytest.fixture
def outage(project: Callable[..., Project]) -> Project:
    made = project()
    shutil.copytree(_OUTAGE, made.path, dirs_exist_ok=True)
    made.git("init", "--quiet")
    made.commit()
    return made


# ------------------------------------------------------------------------------------------ the outage


@pytest.mark.parametrize("envelope", ["plain", "newest first", "JSON lines", "a JSON dump", "Cloud Build", "colours"])
def test_the_outage(outage: Project, envelope: str) -> None:
    log = (_OUTAGE / "three-deploys.log").read_text()
    bare = re.sub(r"^2026-11-17 \d\d:\d\d:\d\d UTC ", "", log, flags=re.MULTILINE)

    result, found = _diagnosed(outage, ENVELOPES[envelope](bare))

    assert found["schema"] == 1
    assert found["cause"] == "target-older-than-code"
    assert [(one["path"], one["line"]) for one in found["place"]] == _PLACES
    assert found["next"] == []
    assert _verdicts(found)["target-older-than-code"] == "proven"
    assert _verdicts(found)["encoding"] == "untested"  # no one read what arrived
    assert _verdicts(found)["bytes-changed"] == "untested"
    assert any(one.startswith("buildguard fix") for one in found["remedies"])
    assert result.code == found["exit_code"] == 1


def test_one_deploy_names_the_files_that_would_have_failed_next(outage: Project) -> None:
    log = (_OUTAGE / "three-deploys.log").read_text().split("Container called")[0]

    _result, found = _diagnosed(outage, log)

    assert [(one["path"], one["line"]) for one in found["place"]] == _PLACES[:1]
    assert [(one["path"], one["line"]) for one in found["next"]] == sorted(_PLACES[1:])


def test_the_answer_comes_first(outage: Project) -> None:
    shutil.copy(_OUTAGE / "three-deploys.log", outage.path / ".git/x.log")

    result = outage.run("diagnose", "--log", ".git/x.log")

    first, *rest = result.out.split("\n")
    assert first.startswith("target-older-than-code: the deployed Python 3.11 (Dockerfile:3) refuses code")
    assert "app/orders.py, line 13, and 2 more files" in first
    titles = [line for line in rest if line.endswith(":") and not line.startswith(" ")]
    assert titles == ["evidence:", "other repairs:"]
    assert rest[0].startswith("fix: buildguard fix")
    assert rest[-2].startswith("not tested (--format json has the reasons): ")
    assert result.err == ""


def test_without_a_python_of_the_target_it_is_predicted_and_says_so(outage: Project) -> None:
    git = shutil.which("git")
    assert git is not None
    outage.env = {"PATH": git.rpartition("/")[0] if "pyenv" not in git else "/usr/bin", "PYENV_ROOT": "/nowhere"}
    outage.commit({"Dockerfile": "FROM python:3.10-slim\nWORKDIR /app\nCOPY app ./app\n"})

    _result, found = _diagnosed(outage, (_OUTAGE / "three-deploys.log").read_text())

    assert found["cause"] == "target-older-than-code"
    assert any("predicted by ruff" in one for one in found["hypotheses"][0]["evidence"])
    result, alone = _diagnosed(outage, None)
    assert _verdicts(alone)["target-older-than-code"] == "untested"
    assert len(alone["next"]) == 3
    assert result.code == 1


def test_what_was_repaired_since(project: Callable[..., Project]) -> None:
    """Each deploy of the log was of another commit; HEAD compiles, and the log is still explained."""
    made = project({"Dockerfile": _DOCKERFILE, "src/app/a.py": _BROKEN, "src/app/b.py": _BROKEN})
    made.git("init", "--quiet")
    first = made.commit()
    made.commit({"src/app/a.py": "# one\n" + _FIXED})
    made.commit({"src/app/b.py": "# one\n" + _FIXED})
    source, end = 'return f"{row["id"]}"', "SyntaxError: f-string: unmatched '['"
    log = _traceback("/srv/app/a.py", 2, source, end) + _traceback("/srv/app/b.py", 2, source, end)

    _result, found = _diagnosed(made, log)

    assert found["cause"] == "target-older-than-code"
    assert [(one["path"], one["line"]) for one in found["place"]] == [("src/app/a.py", 2), ("src/app/b.py", 2)]
    stale = next(one for one in found["hypotheses"] if one["id"] == "stale-image")
    assert stale["verdict"] == "untested"
    assert any(first[:10] in words for words in stale["evidence"])
    assert f"that line is of commit {first[:10]}" in found["sentence"]
    assert "the current commit has another one, which CPython 3.11" in found["sentence"]
    assert found["remedies"][0].startswith("buildguard deploy ")
    assert found["next"] == []


def test_what_was_repaired_since_and_does_not_start_now(repository: Callable[..., Project]) -> None:
    start = 'CMD ["python", "-m", "app.a"]\n'
    made = repository({"Dockerfile": f"{_DOCKERFILE}{start}", "src/app/a.py": _BROKEN, "src/app/__init__.py": ""})
    made.commit({"src/app/a.py": "from app import lost\n" + _FIXED})

    _result, found = _diagnosed(
        made, _traceback("/srv/app/a.py", 2, 'return f"{row["id"]}"', "SyntaxError: f-string: unmatched '['")
    )

    assert [words.partition("    ")[0] for words in found["remedies"][:2]] == ["buildguard check", "buildguard deploy"]
    assert found["next"] == [{"path": "src/app/a.py", "line": 1}]


def test_an_exception_of_a_line_that_is_an_older_commits(repository: Callable[..., Project]) -> None:
    made = repository({"Dockerfile": _DOCKERFILE, "src/app/a.py": "x = {}\ny = x['k']\n"})
    made.commit({"src/app/a.py": "x = {}\ny = x.get('k')\n"})

    _result, found = _diagnosed(made, _traceback("/srv/app/a.py", 2, "y = x['k']", "KeyError: 'k'"))

    assert found["cause"] == "application-error"
    assert "the current commit has another one" in found["sentence"]
    assert found["remedies"][0].startswith("buildguard deploy ")


def test_what_is_in_no_commit(repository: Callable[..., Project]) -> None:
    made = repository({"Dockerfile": _DOCKERFILE, "src/app/a.py": "x = 1\ny = 2\n"})

    result, found = _diagnosed(made, _traceback("/srv/app/a.py", 2, "y = (((", "SyntaxError: '(' was never closed"))

    assert found["cause"] == "unknown"
    assert "in no commit of this repository" in found["sentence"]
    assert result.code == 3
    assert any("diff commit:HEAD image:REF" in one for one in found["remedies"])


def test_a_typo_is_not_the_targets_age(repository: Callable[..., Project]) -> None:
    made = repository({"Dockerfile": _DOCKERFILE, "src/app/a.py": "x = (\n"})

    result, found = _diagnosed(made, _traceback("/srv/app/a.py", 1, "x = (", "SyntaxError: '(' was never closed"))

    assert found["cause"] == "unknown"
    assert "no Python accepts this" in found["sentence"]
    assert _verdicts(found)["target-older-than-code"] != "proven"
    assert [one["path"] for one in found["place"]] == ["src/app/a.py"]
    assert result.code == 3


# ------------------------------------------------------------------------------------------ something else


_OTHERS = {
    "not-importable": _imported("/srv/app/main.py", 1, "import flask", "ModuleNotFoundError: No module named 'flask'"),
    "missing-variable": _imported(
        "/srv/app/main.py", 2, 'url = os.environ["DATABASE_URL"]', "KeyError: 'DATABASE_URL'"
    ),
    "resources": "Memory limit of 512 MiB exceeded with 530 MiB used. Consider increasing the memory limit\n",
    "platform": "exec /usr/local/bin/python: exec format error\n",
    "service-trouble": "ERROR: (gcloud.builds.submit) UNAVAILABLE: The service is currently unavailable.\n",
    "stray-bytecode": _imported(
        "/srv/app/main.py", 1, "from app import a", "ImportError: bad magic number in 'app.a': b'U\\r\\r\\n'"
    ),
    "wrong-files-sent": "python: can't open file '/srv/main.py': [Errno 2] No such file or directory\n",
    "code-older-than-target": _imported(
        "/srv/app/main.py", 1, "import distutils", "ModuleNotFoundError: No module named 'distutils'"
    ),
    "encoding": "/usr/bin/env: 'python3\\r': No such file or directory\n",
}


@pytest.mark.parametrize("broken", [False, True], ids=["clean", "with-broken-files"])
@pytest.mark.parametrize("cause", _OTHERS)
def test_another_failure_is_not_blamed_on_syntax(
    repository: Callable[..., Project], cause: str, *, broken: bool
) -> None:
    made = repository(
        {"Dockerfile": _DOCKERFILE, "src/app/main.py": "import os\n", "src/app/a.py": _BROKEN if broken else _FIXED}
    )

    result, found = _diagnosed(made, _OTHERS[cause])

    assert found["cause"] == cause
    assert result.code == 1
    assert _verdicts(found)[cause] == "proven"
    assert _verdicts(found)["target-older-than-code"] == ("proven" if broken else "refuted")
    assert [one["path"] for one in found["next"]] == (["src/app/a.py"] if broken else [])
    assert found["remedies"]


def test_the_last_attempt_leads(repository: Callable[..., Project]) -> None:
    made = repository({"Dockerfile": _DOCKERFILE, "src/app/main.py": "import os\n", "src/app/a.py": _BROKEN})
    syntax = _traceback("/srv/app/a.py", 2, 'return f"{row["id"]}"', "SyntaxError: f-string: unmatched '['")
    quiet = "INFO: starting\n" * 50

    assert _diagnosed(made, syntax + quiet + _OTHERS["missing-variable"])[1]["cause"] == "missing-variable"
    assert _diagnosed(made, _OTHERS["missing-variable"] + quiet + syntax)[1]["cause"] == "target-older-than-code"


def test_what_a_server_makes_of_it_does_not_hide_it(repository: Callable[..., Project]) -> None:
    made = repository({"Dockerfile": _DOCKERFILE, "src/app/a.py": _BROKEN})
    syntax = _traceback("/srv/app/a.py", 2, 'return f"{row["id"]}"', "SyntaxError: f-string: unmatched '['")
    after = (
        "[2026-11-17 09:00:00 +0000] [7] [INFO] Worker exiting (pid: 7)\nTraceback (most recent call last):\n"
        '  File "/usr/local/lib/python3.11/site-packages/gunicorn/arbiter.py", line 208, in run\n    self.halt()\n'
        "gunicorn.errors.HaltServer: <HaltServer 'Worker failed to boot.' 3>\n"
        "The user-provided container failed to start and listen on the port defined provided by the PORT=8080\n"
    )

    _result, found = _diagnosed(made, syntax + after)

    assert found["cause"] == "target-older-than-code"
    assert _verdicts(found)["other-interpreter"] == "refuted"


def test_what_came_of_another_exception(repository: Callable[..., Project]) -> None:
    made = repository({"Dockerfile": _DOCKERFILE, "src/app/main.py": "import os\n"})
    log = (
        _OTHERS["missing-variable"]
        + "\nDuring handling of the above exception, another exception occurred:\n\n"
        + _imported("/srv/app/main.py", 1, "raise Stop()", "RuntimeError: cannot start")
    )

    assert _diagnosed(made, log)[1]["cause"] == "missing-variable"


def test_the_log_says_which_python_ran(repository: Callable[..., Project]) -> None:
    made = repository({"Dockerfile": _DOCKERFILE.replace("3.11", "3.12"), "src/app/a.py": _BROKEN})
    log = _imported("/usr/local/lib/python3.10/importlib/__init__.py", 126, "return x", "x") + _traceback(
        "/srv/app/a.py", 2, 'return f"{row["id"]}"', "SyntaxError: f-string: unmatched '['"
    )

    _result, found = _diagnosed(made, log)

    assert _verdicts(found)["other-interpreter"] == "proven"
    assert found["cause"] == "target-older-than-code"
    assert [one["path"] for one in found["place"]] == ["src/app/a.py"]


def test_a_module_of_ours_that_was_not_sent(repository: Callable[..., Project]) -> None:
    made = repository(
        {
            "Dockerfile": _DOCKERFILE,
            "src/app/main.py": "from app import build\n",
            "src/app/build/lib.py": "",
            ".gcloudignore": "# x\nbuild/\n",
        }
    )

    _result, found = _diagnosed(
        made,
        _imported(
            "/srv/app/main.py", 1, "from app.build import lib", "ModuleNotFoundError: No module named 'app.build.lib'"
        ),
    )

    assert found["cause"] == "wrong-files-sent"
    assert ".gcloudignore:2" in found["sentence"]
    assert {"path": "src/app/build/lib.py", "line": None} in found["place"]


def test_a_module_of_ours_in_the_wrong_folder(repository: Callable[..., Project]) -> None:
    made = repository({"Dockerfile": _DOCKERFILE, "src/app/main.py": "import util\n", "src/app/util.py": ""})

    _result, found = _diagnosed(
        made, _imported("/srv/app/main.py", 1, "import util", "ModuleNotFoundError: No module named 'util'")
    )

    assert found["cause"] == "not-importable"
    assert "src/app/util.py" in found["sentence"]


@pytest.mark.parametrize(
    ("importer", "is_ours"), [("app/main.py", False), ("app/cache/client.py", True), ("elsewhere.py", True)]
)
def test_a_member_of_another_package_is_not_the_module_that_is_missing(
    repository: Callable[..., Project], importer: str, *, is_ours: bool
) -> None:
    files = dict.fromkeys(("app/__init__.py", "app/cache/__init__.py", "app/cache/redis.py"), "")
    own = {} if importer == "elsewhere.py" else {importer: "import redis\n"}
    made = repository({"Dockerfile": _DOCKERFILE, **files, **own})

    _result, found = _diagnosed(
        made, _imported(f"/srv/{importer}", 1, "import redis", "ModuleNotFoundError: No module named 'redis'")
    )

    assert found["cause"] == "not-importable"
    assert ("app/cache/redis.py" in found["sentence"]) is is_ours
    assert ("requirements" in found["remedies"][0]) is not is_ours


def test_a_source_that_does_not_decode(repository: Callable[..., Project]) -> None:
    made = repository({"Dockerfile": _DOCKERFILE, "src/app/a.py": b"x = '\xe9'\n"})
    end = "SyntaxError: Non-UTF-8 code starting with '\\xe9' in file /srv/app/a.py on line 1, but no encoding declared"

    _result, found = _diagnosed(made, f'  File "/srv/app/a.py", line 1\n{end}\n')

    assert found["cause"] == "encoding"
    assert _verdicts(found)["encoding"] == "proven"


# ------------------------------------------------------------------------------------------ places


def test_the_dockerfile_says_which_of_two_files_it_is(repository: Callable[..., Project]) -> None:
    files = {f"{name}/Dockerfile": f"FROM python:3.11\nWORKDIR /opt/{name}\nCOPY . .\n" for name in ("one", "two")}
    made = repository({**files, "one/app/a.py": _BROKEN, "two/app/a.py": _BROKEN})

    _result, found = _diagnosed(
        made, _traceback("/opt/two/app/a.py", 2, 'return f"{row["id"]}"', "SyntaxError: f-string: unmatched '['")
    )

    assert [one["path"] for one in found["place"]] == ["two/app/a.py"]
    assert [one["path"] for one in found["next"]] == ["one/app/a.py"]


def test_the_line_tells_where_the_path_does_not(repository: Callable[..., Project]) -> None:
    made = repository({"Dockerfile": "FROM python:3.11\n", "one/a.py": _FIXED, "two/a.py": _BROKEN})

    _result, found = _diagnosed(
        made, _traceback("/x/a.py", 2, 'return f"{row["id"]}"', "SyntaxError: f-string: unmatched '['")
    )

    assert [one["path"] for one in found["place"]] == ["two/a.py"]


def test_paths_that_are_not_ours_are_never_opened(repository: Callable[..., Project]) -> None:
    made = repository({"Dockerfile": _DOCKERFILE, "src/app/a.py": _FIXED})

    for path in (
        "/etc/passwd",
        "../../../../etc/passwd",
        "/usr/local/lib/python3.11/site-packages/dep/x.py",
        "<string>",
    ):
        result, found = _diagnosed(made, _traceback(path, 1, "x", "SyntaxError: invalid syntax"))
        assert found["cause"] == "unknown"
        assert found["place"] == []
        assert result.code == 3


# ------------------------------------------------------------------------------------------ little to go by


def test_an_error_of_the_program_itself(repository: Callable[..., Project]) -> None:
    made = repository({"Dockerfile": _DOCKERFILE, "src/app/main.py": "raise ValueError('no')\n"})

    result, found = _diagnosed(made, _imported("/srv/app/main.py", 1, "raise ValueError('no')", "ValueError: no"))

    assert found["cause"] == "application-error"
    assert found["place"] == [{"path": "src/app/main.py", "line": 1}]
    assert "ValueError: no" in found["sentence"]
    assert result.code == 1


def test_a_healthy_log(repository: Callable[..., Project]) -> None:
    made = repository({"Dockerfile": _DOCKERFILE, "src/app/main.py": "x = 1\n"})

    result, found = _diagnosed(made, "INFO: Uvicorn running on http://0.0.0.0:8080\nGET / 200\n")
    assert (found["cause"], result.code) == ("healthy", 0)
    result, found = _diagnosed(made, "INFO: started\nrequest failed: 500\n")
    assert (found["cause"], result.code) == ("unknown", 3)
    made.commit({"src/app/main.py": _BROKEN})
    result, found = _diagnosed(made, "INFO: Uvicorn running on http://0.0.0.0:8080\n")
    assert (found["cause"], result.code) == ("target-older-than-code", 1)


def test_no_log_at_all(outage: Project) -> None:
    result, found = _diagnosed(outage, None)

    assert found["cause"] == "target-older-than-code"
    assert {one["path"] for one in found["place"]} == {path for path, _line in _PLACES}
    assert result.code == 1


@pytest.mark.parametrize("log", ["", "\n\n", "\x00\xff", "Traceback (most recent call last):\n"])
def test_nothing_in_the_log(repository: Callable[..., Project], log: str) -> None:
    made = repository({"Dockerfile": _DOCKERFILE, "src/app/main.py": "x = 1\n"})

    result, found = _diagnosed(made, log)

    assert (found["cause"], result.code) == ("unknown", 3)


def test_nothing_says_which_python_it_is(project: Callable[..., Project]) -> None:
    made = project({"a.py": _BROKEN})

    result, found = _diagnosed(made, _OTHERS["resources"])
    assert (found["cause"], result.code) == ("resources", 1)
    assert _verdicts(found)["target-older-than-code"] == "untested"
    frame = '  File "/usr/local/lib/python3.11/runpy.py", line 1, in f\n    x\n'
    _result, found = _diagnosed(
        made, frame + _traceback("/a.py", 2, 'return f"{row["id"]}"', "SyntaxError: f-string: unmatched '['")
    )
    assert found["cause"] == "target-older-than-code"


def test_a_log_that_is_not_there(repository: Callable[..., Project]) -> None:
    result = repository({"Dockerfile": _DOCKERFILE, "a.py": ""}).run("diagnose", "--log", "nowhere.log")

    assert result.code == 2
    assert "nowhere.log: No such file or directory" in result.err


def test_a_log_without_its_option(repository: Callable[..., Project]) -> None:
    result = repository({"a.py": ""}).run("diagnose", "my build.log")

    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines() == [
        "buildguard: diagnose takes options only, not my build.log",
        "hint: buildguard diagnose --log 'my build.log'",
    ]


def test_the_place_of_a_requirement_that_pip_cannot_read(repository: Callable[..., Project]) -> None:
    made = repository({"agents/zoo/requirements.txt": "flask\n\nwikipedia==1.4.0uv venv\n", "agents/zoo/main.py": ""})
    log = (
        "ERROR: Invalid requirement: 'wikipedia==1.4.0uv venv' (from line 3 of /app/agents/zoo/requirements.txt)\n"
        'ERROR\nERROR: build step 0 "gcr.io/cloud-builders/docker" failed: step exited with non-zero status: 1\n'
    )

    _result, found = _diagnosed(made, log)

    assert found["cause"] == "dependency-install"
    assert [(one["path"], one["line"]) for one in found["place"]] == [("agents/zoo/requirements.txt", 3)]
    assert "'wikipedia==1.4.0uv venv'" in found["sentence"]


def test_the_marks_of_a_merge_in_the_project_are_no_encoding(repository: Callable[..., Project]) -> None:
    """A log that ends before it says more, beside a source that a merge left unfinished."""
    marked = "<<<<<<< HEAD\na = 1\n=======\na = 2\n>>>>>>> other\n"
    made = repository({"Dockerfile": _DOCKERFILE, "src/app/a.py": marked})
    _result, found = _diagnosed(
        made, 'Traceback (most recent call last):\n  File "/srv/main.py", line 1, in <module>\n'
    )

    assert (found["cause"], found["sentence"]) == (
        "merge-conflict",
        "src/app/a.py, line 1: an unresolved merge conflict",
    )
    assert found["remedies"] == ["git diff --check, and resolve it"]
    assert _verdicts(found)["encoding"] == "untested"


def test_what_the_build_of_a_package_lacks_leads(repository: Callable[..., Project]) -> None:
    log = (
        "  Building wheel for PyQRCode (setup.py): finished with status 'error'\n  error: subprocess-exited-with-error\n"
        "      error: invalid command 'bdist_wheel'\n  ERROR: Failed building wheel for PyQRCode\n"
    )

    _result, found = _diagnosed(repository({"a.py": ""}), log)

    assert found["cause"] == "dependency-install"
    assert found["remedies"][0] == "RUN pip install --upgrade pip setuptools wheel, before the requirements"


def test_a_bare_level_is_not_the_line_that_is_quoted(repository: Callable[..., Project]) -> None:
    log = 'Step #1: /bin/sh: -x: invalid option\nERROR\nERROR: build step 1 "x" failed: step exited with non-zero status: 1\n'

    _result, found = _diagnosed(repository({"a.py": ""}), log)

    assert "invalid option" in found["quote"]


def test_a_log_from_stdin(outage: Project) -> None:
    done = subprocess.run(
        [outage.executable, "diagnose", "--log", "-", "--format", "json"],
        cwd=outage.path,
        input=(_OUTAGE / "three-deploys.log").read_bytes(),
        capture_output=True,
        check=False,
    )

    assert json.loads(done.stdout)["cause"] == "target-older-than-code"


def test_markdown_fits_an_incident_report(outage: Project) -> None:
    evil = 'Traceback (most recent call last):\n  File "/srv/`<img src=x>`.py", line 1\n    x\nSyntaxError: `` | <script>alert(1)</script>\n'
    outage.write({".git/x.log": (_OUTAGE / "three-deploys.log").read_text(), ".git/evil.log": evil})

    good = outage.run("diagnose", "--log", ".git/x.log", "--format", "markdown").out
    bad = outage.run("diagnose", "--log", ".git/evil.log", "--format", "markdown").out

    assert good.startswith("## Cause: target-older-than-code\n")
    assert "**To repair it**" in good
    assert len(good.splitlines()) <= 25
    outside = re.sub(r"(`+)(?:(?!\1).)+?\1(?!`)", "", bad)
    assert "<img src=x>" in bad
    assert "<" not in outside


def test_hostile_text_is_shown_and_not_obeyed(repository: Callable[..., Project]) -> None:
    made = repository({"Dockerfile": _DOCKERFILE, "a.py": ""})
    made.write(
        {"x.log": "ModuleNotFoundError: No module named 'a\x1b]0;title\x07b\u202e'\nValueError: \x9b31m\u202e\n"}
    )

    result = made.run("diagnose", "--log", "x.log")

    assert "\x1b" not in result.out
    assert "\x9b" not in result.out
    assert "\u202e" not in result.out


def test_the_example_log_is_what_that_python_prints(outage: Project) -> None:
    """Each block of the bundled log ends as Python 3.11 really ends for that file."""
    log = (_OUTAGE / "three-deploys.log").read_text()
    for path, line in _PLACES:
        done = subprocess.run(
            [interpreter("3.11"), "-c", f"import {path[:-3].replace('/', '.')}"],
            cwd=outage.path,
            capture_output=True,
            text=True,
            check=False,
        )
        if path == "app/invoices.py":  # it imports app.orders first, which was repaired by then
            done = subprocess.run(
                [interpreter("3.11"), path], cwd=outage.path, capture_output=True, text=True, check=False
            )
        assert done.stderr.splitlines()[-1] in log
        assert f'File "/app/{path}", line {line}' in log
