"""BG603: imports of installed packages, predicted from a lock file or read from an environment."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import pytest

from buildguard.check.project_imports import open_environment
from buildguard.imports.distributions import ModuleIndex, known_distributions, resembles
from buildguard.imports.lock import LockedPackages, read_lock
from buildguard.imports.locked_source import LockedSource
from buildguard.imports.records import ImportForm, ImportStatement, extract
from buildguard.imports.requirements import read_requirements
from buildguard.imports.site_packages import InstalledSource
from buildguard.imports.standard import LibraryModules
from buildguard.imports.third_party import PackagePresence
from buildguard.project.package_names import normalize
from buildguard.project.target import PythonVersion, Target
from tests.imports.projects import TextProject, lines_of
from tests.stages.deep import flatten, nest

_UV = b"""
version = 1
[[package]]
name = "svc"
source = { virtual = "." }
dependencies = [{ name = "Flask" }]
[package.optional-dependencies]
web = [{ name = "gunicorn" }]
[package.dev-dependencies]
dev = [{ name = "requests" }]
[[package]]
name = "flask"
source = { registry = "https://example.invalid" }
dependencies = [{ name = "werkzeug" }]
[[package]]
name = "werkzeug"
source = { registry = "https://example.invalid" }
[[package]]
name = "gunicorn"
source = { registry = "https://example.invalid" }
[[package]]
name = "requests"
source = { registry = "https://example.invalid" }
[[package]]
name = "own"
source = { git = "https://example.invalid" }
"""
_POETRY = b"""
[[package]]
name = "flask"
[package.dependencies]
Werkzeug = "*"
[[package]]
name = "werkzeug"
[[package]]
name = "requests"
"""
_POETRY_PROJECT = b'[tool.poetry.dependencies]\npython = "^3.11"\nflask = "*"\n'
_PYLOCK = b"""
[[packages]]
name = "flask"
[[packages]]
name = "werkzeug"
marker = "python_version > '3'"
[[packages]]
name = "requests"
marker = "'dev' in dependency_groups"
"""


def _locked(name: str, data: bytes, project: bytes | None = None) -> LockedPackages:
    locked = read_lock(name, data, project)
    assert locked is not None
    return locked


@pytest.mark.parametrize(
    "locked",
    [
        _locked("uv.lock", _UV),
        _locked("poetry.lock", _POETRY, _POETRY_PROJECT),
        _locked("pylock.toml", _PYLOCK),
    ],
    ids=lambda locked: locked.file,
)
def test_a_lock_gives_its_closure_and_its_groups(locked: LockedPackages) -> None:
    assert {"flask", "werkzeug"} <= locked.production
    assert locked.development == {"requests"}


def test_extras_are_production_and_repositories_are_unknown() -> None:
    locked = _locked("uv.lock", _UV)

    assert "gunicorn" in locked.production
    assert locked.optional == {"gunicorn"}
    assert not _locked("pylock.toml", _PYLOCK).optional
    assert locked.local == {"own"}
    assert read_lock("uv.lock", b"[[package]]\nname = 3\n", None) is None
    assert read_lock("uv.lock", b"\xff", None) is None


def test_what_an_extra_of_poetry_alone_brings() -> None:
    project = (
        b"[tool.poetry.dependencies]\npython = '^3.11'\nflask = '3.0'\nrequests = { version = '2', optional = true }\n"
    )
    locked = _locked("poetry.lock", _POETRY, project)

    assert locked.optional == {"requests"} <= locked.production


def _source(*names: str, development: tuple[str, ...] = (), local: tuple[str, ...] = ()) -> LockedSource:
    locked = LockedPackages("uv.lock", frozenset(names), frozenset(development), frozenset(local))
    return LockedSource(locked, ModuleIndex({}))


def _predicted(text: str, source: LockedSource) -> list[str]:
    return lines_of(TextProject({"main.py": text}).judge(source))


def test_what_nothing_in_the_closure_brings_is_a_warning() -> None:
    source = _source("flask", "pyyaml", "google-cloud-storage")

    assert _predicted("import flask, yaml\nfrom google.cloud import storage\n", source) == []
    assert _predicted("import requests\n", source) == [
        "warning main.py:1 no module named 'requests': nothing in uv.lock brings it"
    ]
    assert _predicted("from google.cloud import bigquery\n", source) == [
        "warning main.py:1 no module named 'google.cloud.bigquery': nothing in uv.lock brings it"
    ]
    assert _predicted("try:\n    import requests\nexcept ImportError:\n    pass\n", source) == []


def test_what_a_function_says_that_it_needs_is_no_finding() -> None:
    source, failing = (
        _source("flask"),
        "try:\n    import requests\nexcept ImportError:\n    raise SystemExit('needs requests')\n",
    )
    inner = "".join(f"    {line}\n" for line in failing.splitlines())

    assert _predicted(f"def f():\n{inner}", source) == []
    assert _predicted(failing, source) == ["warning main.py:2 no module named 'requests': nothing in uv.lock brings it"]


@pytest.mark.parametrize(
    ("imports", "found"),
    [
        ("from pkg import a", 1),
        ("try:\n    from pkg import a\nexcept ImportError:\n    pass", 0),
        ("try:\n    import pkg.a\nexcept ModuleNotFoundError:\n    pass", 0),
        ("try:\n    import pkg.b\nexcept ImportError:\n    pass", 0),
        ("try:\n    import pkg.b\nexcept OSError:\n    pass", 1),
        ("try:\n    import pkg.a\nexcept ImportError:\n    pass\nimport pkg.b", 1),
        ("try:\n    import pkg.late\nexcept ImportError:\n    pass", 1),
    ],
)
def test_a_module_whose_failure_is_handled_may_lack_a_package(imports: str, found: int) -> None:
    files = {
        "main.py": f"{imports}\n",
        "pkg/__init__.py": "",
        "pkg/a.py": "import requests\n",
        "pkg/b.py": "import pkg.a\n",
        "pkg/late.py": "def f():\n    import requests\n",
    }

    assert len(lines_of(TextProject(files).judge(_source("flask")))) == found


def test_what_a_build_brings_for_itself_is_undecided() -> None:
    result = TextProject({"main.py": "", "setup.py": "import setuptools\n"}, "").judge(_source("flask"))

    assert lines_of(result) == []
    assert [(item.path, item.reason) for item in result.undecided] == [
        ("setup.py", "a build brings packages of its own")
    ]


@pytest.mark.parametrize(
    ("versions", "is_there"),
    [(("84.2.1",), False), (("82.0.0",), False), (("81.0.0",), True), (("80.9", "84.0"), True)],
)
def test_a_module_that_a_newer_version_left_out(versions: tuple[str, ...], is_there: bool) -> None:
    """setuptools 82 has no pkg_resources; with more than one locked version, a marker decides."""
    packages = "".join(
        f'[[package]]\nname = "setuptools"\nversion = "{version}"\nsource = {{ registry = "x" }}\n'
        for version in versions
    )
    data = (
        '[[package]]\nname = "app"\nversion = "1"\nsource = { virtual = "." }\n'
        f'dependencies = [{{ name = "setuptools" }}, {{ name = "unknown-thing" }}]\n{packages}'
    )
    locked = read_lock("uv.lock", data.encode(), None)
    assert locked is not None
    found = TextProject({"main.py": "import setuptools\nimport pkg_resources\n"}).judge(
        LockedSource(locked, ModuleIndex({}))
    )

    missing = "warning main.py:2 no module named 'pkg_resources': nothing in uv.lock brings it"
    assert lines_of(found) == ([] if is_there else [missing])
    hints = [finding.hint for findings in found.findings.values() for finding in findings]
    assert hints == ([] if is_there else ["add setuptools<82 to the project's dependencies, and lock again"])


def test_what_only_a_group_brings_is_a_warning() -> None:
    lines = _predicted("import requests\n", _source("flask", development=("requests",)))

    assert lines == ["warning main.py:1 no module named 'requests': only a development group of uv.lock brings it"]


def test_a_distribution_of_unknown_content_leaves_its_like_undecided() -> None:
    assert _predicted("import acme_client\n", _source("flask", "acme")) == []
    assert _predicted("import requests\n", _source("flask", "requests-fork")) == []
    assert _predicted("import something\n", _source("flask", "unknown-thing")) == []
    assert len(_predicted("import requests\n", _source("flask", "unknown-thing"))) == 1
    assert len(_predicted("import something\n", _source("flask"))) == 1


def test_without_a_lock_nothing_is_reported() -> None:
    result = TextProject({"main.py": "import requests\n"}).judge()

    assert result.findings == {}
    assert result.undecided == ()


def test_beside_an_open_lock_only_what_it_lacks_is_undecided() -> None:
    locked = LockedPackages("uv.lock", frozenset({"flask"}), frozenset({"pytest"}), frozenset())
    source = LockedSource(locked, ModuleIndex({}), why_open="base may bring it")
    result = TextProject({"main.py": "import flask\nimport requests\nimport json\nimport pytest\n"}).judge(source)

    assert result.findings == {}
    assert [(item.line, item.reason) for item in result.undecided] == [
        (2, "base may bring it"),
        (4, "base may bring it"),
    ]


def test_what_is_named_after_a_framework_does_not_bring_it() -> None:
    assert len(_predicted("import django\n", _source("django-acme", "django-acme-tools"))) == 1
    assert len(_predicted("import flask\n", _source("flask-acme"))) == 1
    assert len(_predicted("import django\n", _source("pytest-django", "django-stubs-acme"))) == 1
    assert len(_predicted("import redis\n", _source("django-redis-acme"))) == 1
    assert _predicted("import acme\n", _source("django-acme")) == []
    # another form of it, one from elsewhere, and names that say nothing of that kind
    assert _predicted("import django\n", _source("django-lts")) == []
    assert _predicted("import django\n", _source("django-acme-fork")) == []
    assert _predicted("import django\n", _source("django-5")) == []
    assert _predicted("import django\n", _source("django-acme", local=("django-acme",))) == []
    assert _predicted("import django\n", _source("acme-django")) == []
    assert _predicted("import redis\n", _source("redis-acme")) == []


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("passlib", "libpass"),
        ("discord", "py-cord"),
        ("kafka", "kafka-python-ng"),
        ("cv2", "opencv-python-rolling"),
        ("storages", "django-storages-redux"),
        # the table has none of these: they are named as another form of what brings the module
        ("PIL", "pillow-acme"),
        ("cv2", "opencv-python-acme"),
        ("storages", "django-storages-acme"),
        ("yaml", "acme-pyyaml"),
        ("nacl", "libnacl"),
        ("passlib", "pypass"),
    ],
)
def test_another_form_of_a_distribution_may_bring_its_modules(module: str, name: str) -> None:
    assert _predicted(f"import {module}\n", _source("flask", name)) == []
    assert len(_predicted(f"import {module}\n", _source("flask", "unknown-thing"))) == 1


@pytest.mark.parametrize(
    ("module", "name", "is_missing"),
    [
        ("google.cloud.translate_v2", "google-cloud-translate", False),
        ("google.cloud.translate_v3.types", "google-cloud-translate", False),
        ("google.cloud.secretmanager_v1beta2", "google-cloud-secret-manager", False),
        ("google.cloud.bigquery_storage_v1beta2", "google-cloud-bigquery-storage", False),
        ("google.cloud.iam_credentials_v1", "google-cloud-iam", False),
        ("google.cloud.errorreporting_v1beta1", "google-cloud-error-reporting", False),
        ("google.cloud.of_no_known_name", "google-cloud-storage", False),
        ("google.cloud.of_no_known_name_v1.types", "google-cloud-storage", False),
        ("azure.of_no_known_name", "azure-core", False),
        ("google.cloud.translate_v2", "google-cloud-storage", True),
        ("google.cloud.translate", "google-cloud-storage", True),
        ("google.cloud.translate_v2", "flask", True),
        ("google.cloud.of_no_known_name", "flask", True),
        ("requests_v2", "requests", True),
    ],
)
def test_what_a_namespace_has_is_not_all_known(module: str, name: str, *, is_missing: bool) -> None:
    assert len(_predicted(f"import {module}\n", _source(name))) == is_missing


def test_a_folder_of_the_project_is_not_what_a_lock_lacks() -> None:
    """A requirement of unknown name may bring the rest of a folder without __init__.py, so its imports are asked of the lock."""
    files = {"space/a.py": "import space.b\nfrom space.sub import c\n", "space/b.py": "", "space/sub/c.py": ""}
    result = TextProject(files, "", requires=("space-acme",)).judge(_source("flask"))

    assert lines_of(result) == []
    assert {item.reason for item in result.undecided} == {"the project has a module space of its own"}


def test_a_script_finds_what_is_beside_it() -> None:
    files = {"tools/run.py": "import requests\nimport jinja2\n", "tools/requests.py": "", "main.py": ""}
    result = TextProject(files, "").judge(_source("flask"))

    assert lines_of(result) == ["warning tools/run.py:2 no module named 'jinja2': nothing in uv.lock brings it"]
    assert [(item.path, item.reason) for item in result.undecided] == [
        ("tools/run.py", "the project has a module requests of its own")
    ]
    # from the folder of a start that is known it is lost
    files = {"main.py": "import tools.run\n", "tools/__init__.py": "", "tools/run.py": "import requests\n"}
    started = TextProject({**files, "tools/requests.py": ""}).judge(_source("flask"))
    assert len(lines_of(started)) == 1


def _site(tmp_path: Path, files: dict[str, str]) -> InstalledSource:
    site = tmp_path / "venv/lib/python3.11/site-packages"
    for name, text in files.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return open_environment(tmp_path / "venv", Target(PythonVersion(11), "--target"))


def _installed(text: str, source: InstalledSource) -> list[str]:
    lines = lines_of(TextProject({"main.py": text}).judge(source))
    return [line.partition(" in ")[0] for line in lines]


def test_an_environment_with_more_folders_than_python_calls_functions(tmp_path: Path) -> None:
    site = tmp_path / "venv/lib/python3.11/site-packages"
    site.mkdir(parents=True)
    nest(site, 1200, b"")
    try:
        assert _installed("import d\nimport gone\n", _site(tmp_path, {"here.py": ""}))
    finally:
        flatten(site, 1200)


def test_an_environment_answers_with_errors(tmp_path: Path) -> None:
    source = _site(
        tmp_path,
        {
            "flask/__init__.py": "from .app import Flask\n",
            "flask/app.py": "class Flask: pass\n",
            "fast.cpython-311-x86_64-linux-gnu.so": "",
            "space/part/mod.py": "x = 1\n",
            "lazy/__init__.py": "def __getattr__(name): return 1\n",
        },
    )

    assert (
        _installed("import flask.app, fast, space.part.mod\nfrom flask import Flask\nfrom fast import any\n", source)
        == []
    )
    assert _installed("from lazy import anything\n", source) == []
    assert _installed("import requests\n", source) == ["error main.py:1 no module named 'requests': no package"]
    assert _installed("import flask.nope\n", source) == ["error main.py:1 no module named 'flask.nope': no package"]
    assert _installed("from flask import Nope\n", source) == [
        "error main.py:1 cannot import name 'Nope' from 'flask' as it is installed"
    ]


def test_pth_files_are_read_and_never_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    source = _site(
        tmp_path,
        {
            "extra/inside.py": "",
            "paths.pth": "# comment\nextra\n",
            "_virtualenv.pth": f"import pathlib; pathlib.Path({str(marker)!r}).touch()\n",
            "sitecustomize.py": f"import pathlib; pathlib.Path({str(marker)!r}).touch()\n",
        },
    )
    assert _installed("import inside\n", source) == []
    assert len(_installed("import requests\n", source)) == 1

    code = _site(tmp_path, {"hook.pth": "import hook; hook.install()\n"})
    assert _installed("import requests\n", code) == []
    assert not marker.exists()


def test_requirements_name_distributions() -> None:
    files = {
        "requirements.txt": b"Flask==3\n# comment\nacme-client>=1\n",
        "sub/requirements-dev.txt": b"-e ../own\n",
        "pyproject.toml": b'[project]\ndependencies = ["httpx[http2]>=0.2"]\n[dependency-groups]\ndev = ["pytest"]\n',
        "Dockerfile": b"FROM python:3.11\nRUN pip install -r requirements.txt gunicorn\n",
        "environment.yml": b"dependencies:\n  - numpy=1\n",
    }
    requirements = read_requirements(files, files.get)

    assert {"flask", "acme-client", "httpx", "pytest", "gunicorn", "numpy"} <= requirements.names
    assert requirements.has_unnamed
    assert requirements.may_bring("acme_client", ModuleIndex({}))
    assert not requirements.may_bring("helpers", ModuleIndex({}))


def test_the_library_is_that_of_the_version() -> None:
    assert "json" in LibraryModules(11)
    assert "distutils" in LibraryModules(11)
    assert "distutils" not in LibraryModules(12)
    assert "tomllib" not in LibraryModules(10)


def test_the_bundled_table_is_sorted_and_normalized() -> None:
    names = list(known_distributions())

    assert names == sorted(names)
    assert all(normalize(name) == name for name in names)
    assert known_distributions()["beautifulsoup4"].modules == {"bs4"}
    assert resembles("acme-client", "acme")
    assert resembles("acme-api", "api")
    assert resembles("pyjwt", "jwt")
    assert not resembles("fastapi-mail", "api")


@pytest.mark.parametrize(
    ("files", "is_missing"),
    [
        ({}, True),
        ({"flask/other.py": "def f(obj, key): setattr(obj, key, 1)\n"}, True),
        ({"flask/other.py": "import flask\nflask.escape = 1\n"}, False),
        ({"flask/deep/other.py": "from .. import x\nx.escape: int = 1\n"}, False),
        ({"flask/deep/other.py": "setattr(x, 'escape', 1)\n"}, False),
        ({"flask/other.py": "for k in K: setattr(flask, k, 1)\n"}, False),
        ({"flask/other.py": "for k in K: setattr(sys.modules[__name__], k, 1)\n"}, False),
        ({"flask/other.py": "for k in K: setattr(the_module, k, 1)\n"}, False),
        ({"flask/other.py": "import sys\nsys.modules['flask'] = 1\n"}, False),
        ({"flask/__init__.py": "def __getattr__(name): return 1\n"}, False),
    ],
)
def test_a_name_that_an_installed_package_lacks(files: dict[str, str], *, is_missing: bool) -> None:
    tree = {f"/site/{path}": text for path, text in {"flask/__init__.py": "", "flask/x.py": "", **files}.items()}

    def read(path: str) -> bytes | None:
        return tree[path].encode() if path in tree else None

    source = InstalledSource("env", ["/site"], tree, read, lambda path: extract(tree[path].encode(), (3, 11)))
    names = [("flask", "escape")] if "flask/deep/other.py" not in files else [("flask.x", "escape")]
    for module, name in names:
        answer = source.ask(ImportStatement(1, 1, ImportForm.FROM, module, (name,)))
        assert (answer.presence is PackagePresence.NAME_MISSING) is is_missing


def test_no_name_that_a_package_here_has_is_missing() -> None:
    """The libraries that run this test say themselves what they have."""
    folder = Path(click.__file__).parents[1]
    files = [str(path) for name in ("click", "pluggy", "_pytest") for path in (folder / name).rglob("*.py")]
    minor = sys.version_info.minor

    def read(path: str) -> bytes:
        return Path(path).read_bytes()

    source = InstalledSource("env", [str(folder)], files, read, lambda path: extract(read(path), (3, minor)))
    modules = [name for name in [*sys.modules] if name.partition(".")[0] in {"click", "pluggy", "_pytest"}]
    missing = [
        (module, name)
        for module in modules
        for name in dir(sys.modules[module])
        if source.ask(ImportStatement(1, 1, ImportForm.FROM, module, (name,))).presence is PackagePresence.NAME_MISSING
    ]
    absent = [source.ask(ImportStatement(1, 1, ImportForm.FROM, module, ("no_such_name",))) for module in modules]

    assert missing == []
    assert (
        sum(answer.presence is PackagePresence.NAME_MISSING for answer in absent) > len(modules) / 5
    )  # pytest sets attributes of modules that it gets
