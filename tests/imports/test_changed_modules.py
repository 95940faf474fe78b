"""Modules that have other names than their sources show: whatever may give them some leaves an import undecided."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from buildguard.imports.changed_modules import ChangedModules
from buildguard.imports.doubts import ProjectTexts
from buildguard.imports.faults import FaultKind, ImportFault
from buildguard.imports.finder import ModuleKind, ModuleLocation
from buildguard.imports.names import LoadedModule
from buildguard.imports.records import ImportForm, ImportStatement
from tests.imports.projects import TextProject, findings, lines_of

_CONFIG = {"config.py": "HOST = 1\n"}
_TAKEN = "cannot import name 'DEBUG': config.py never binds it"


@pytest.mark.parametrize(
    "text",
    [
        "RUN sed -i 's/^HOST/DEBUG/' config.py",
        "RUN sed -i 's|a;b|c&d|' app/config.py && echo",
        "RUN sed -i -e \"s/a/$X/\" \\\n    -e 's/b/c/' \\\n    app/config.py",
        "RUN sed -ri.bak 's/a/b/' ./app/config.py",
        "RUN sed --in-place 's/a/b/' $APP/config.py",
        "RUN perl -pi -e 's/a/b/' config.py",
        "RUN echo 'DEBUG = 2' >> config.py && true",
        "RUN echo 'x' > \"app/config.py\"",
        "cat >app/config.py <<EOF",
        "printf x | tee -a config.py",
        "cp deploy/prod.py app/config.py",
        'cp "deploy/$ENV.py" config.py',
        "cp deploy/config.py app/",
        "cp deploy/config.py .",
        "cp $ENV/config.py .",
        "mv config.prod.py config.py; python main.py",
        'CMD ["sh", "-c", "cp deploy/$ENV.py config.py && exec python main.py"]',
        "ln -sf prod.py app/config.py",
        "curl -o app/config.py https://example.com",
        "RUN curl -fsSLo config.py https://example.com",
        "wget -O config.py https://example.com",
        'for f in app/*.py; do sed -i "s/a/b/" "$f"; done',
        "find . -name '*.py' -exec sed -i 's/a/b/' {} \\;",
        "find . -name '*.py' | xargs sed -i 's/a/b/'",
        "sed -i 's/a/b/' app/*.py",
        "patch -p1 < fix.patch",
        "patch config.py fix.patch",
        "git apply fix.patch",
        "2to3 -n -w app",
        "install -m 644 prod.py /srv/app/config.py",
        "envsubst < config.tpl > app/config.py",
        "args: ['-c', 'sed -i s/a/b/ app/config.py']",
        '- sed -i "s/x/y/" app/config.py',
    ],
)
def test_what_may_rewrite_a_source(text: str) -> None:
    assert _changes(text).why_rewritten("/srv/app/config.py") != ""


@pytest.mark.parametrize(
    "text",
    [
        "VERSION=$(sed -n 's/x/y/p' app/config.py)",
        "VERSION=$(grep version app/config.py | sed 's/.*=//')",
        "RUN cp config.py /dist/",
        "RUN cp app/config.py /dist/other.py",
        "cp requirements.txt . && python config.py",
        "python config.py > out.txt",
        "python config.py 2>&1 | tee log",
        "COPY config.py .",
        'CMD ["python", "config.py"]',
        "RUN pip install -r requirements.txt > /dev/null && python config.py",
        "sed -i 's/a/b/' other/config.py",
        "sed -i 's/a/b/' myconfig.py",
        "sed -i 's/a/b/' config.pyi",
        "sed -i 's/a/b/' nginx.conf && python config.py",
        "awk '/x/' config.py",
        'include = ["config.py"]',
        "curl -sf https://example.com; python config.py",
        'echo "run config.py" > readme',
        "mv app/config.py.bak /tmp",
        "sed -i \"s/#listen = 'localhost'/listen = '*'/\" /etc/postgresql/*/main/postgresql.conf",
        "sed -i 's/a/b/' load/*.yml",
        "find . -name '*.yaml' -exec sed -i 's/a/b/' {} \\;",
        'sed -i "s|^${key}=.*|${key}=${file}|" .env',
        "- patch\n- get",
        "ruff check config.py",
    ],
)
def test_what_leaves_a_source_alone(text: str) -> None:
    assert _changes(text).why_rewritten("/srv/app/config.py") == ""


@pytest.mark.interpreters
@pytest.mark.parametrize(
    "command",
    [
        "sed -i 's/^HOST/DEBUG/' config.py",
        "echo 'DEBUG = 2' >> config.py",
        "cp deploy/prod.py config.py",
        "cp deploy/config.py .",
        "find . -name '*.py' -exec sed -i 's/^HOST/DEBUG/' {} \\;",
        "printf 'DEBUG = 1\\n' | tee -a ./config.py",
    ],
)
def test_a_command_that_a_shell_shows_to_change_it_is_seen(command: str, tmp_path: Path) -> None:
    """The shell itself says that the import works afterwards, and failed before."""
    files = {**_CONFIG, "main.py": "from config import DEBUG\n", "deploy/prod.py": "DEBUG = 1\n"}
    files["deploy/config.py"] = files["deploy/prod.py"]
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    before = subprocess.run(
        [sys.executable, "-B", "main.py"], cwd=tmp_path, capture_output=True, check=False
    ).returncode
    subprocess.run(["sh", "-ec", command], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    after = subprocess.run([sys.executable, "-B", "main.py"], cwd=tmp_path, check=False).returncode

    assert (before, after) == (1, 0)
    assert lines_of(TextProject(files, "main.py").judge()) == [f"error main.py:1 {_TAKEN}"]
    assert _undecided(files, build=f"RUN {command}\n") == [("main.py", 1)]


def test_a_line_that_a_build_takes_out_fails_nothing() -> None:
    files = {**_CONFIG, "main.py": "from config import DEBUG\n"}

    assert _undecided(files, build="RUN sed -i '/import DEBUG/d' main.py\n") == [("main.py", 1)]


@pytest.mark.parametrize("build", ["RUN python tools/stamp.py\n", "RUN python -m tools.stamp\n"])
def test_a_script_that_a_build_runs_may_write_a_source(build: str) -> None:
    script = "from pathlib import Path\nPath('config.py').write_text('DEBUG = 1')\n"
    files = {**_CONFIG, "main.py": "from config import DEBUG\n", "tools/stamp.py": script}

    assert _undecided(files, build=build) == [("main.py", 1)]
    assert lines_of(TextProject(files, "main.py").judge()) == [f"error main.py:1 {_TAKEN}"]
    other = {**files, "tools/stamp.py": script.replace("config.py", "other.py")}
    assert lines_of(TextProject(other, "main.py").judge(build=build.encode())) == [f"error main.py:1 {_TAKEN}"]


_HELPERS = {
    "a decorator sets it in the module of a function": (
        "import sys\ndef add(fn):\n    setattr(sys.modules[fn.__module__], 'DE' + 'BUG', fn)\n    return fn\n",
        "from helper import add\n@add\ndef debug(): pass\n",
    ),
    "a decorator gets the module first": (
        "import inspect\ndef add(fn):\n    module = inspect.getmodule(fn)\n    for key in ('DEBUG',): setattr(module, key, 1)\n",
        "from helper import add\n@add\ndef debug(): pass\n",
    ),
    "a decorator sets a function's globals": (
        "def add(fn):\n    fn.__globals__['DEBUG'] = fn\n    return fn\n",
        "from helper import add\n@add\ndef debug(): pass\n",
    ),
    "a call sets the caller's globals": (
        "import sys\ndef add(name):\n    sys._getframe(1).f_globals[name] = 1\n",
        "from helper import add\nadd('DEBUG')\n",
    ),
    "a call gets the caller's globals first": (
        "import inspect\ndef add(**names):\n    found = inspect.currentframe().f_back.f_globals\n    found.update(names)\n",
        "from helper import add\nadd(DEBUG=1)\n",
    ),
    "a call gets globals": ("def add(found):\n    found['DEBUG'] = 1\n", "from helper import add\nadd(globals())\n"),
    "an enumeration is exported": (
        "",
        "import enum\n@enum.global_enum\nclass Level(enum.IntEnum):\n    DEBUG = 1\n",
    ),
    "constants become an enumeration": (
        "",
        "import enum\nX_A = 1\nenum.IntEnum._convert_('DEBUG', __name__, lambda name: name.startswith('X_'))\n",
    ),
}
_BOOT = {
    "another module takes its name": ("import sys, prod\nsys.modules['config'] = prod\n", ""),
    "another module takes a computed name": (
        "import sys, prod\nfor name in ('config',): sys.modules[name] = prod\n",
        "",
    ),
    "another module takes it unless there is one": ("import sys, prod\nsys.modules.setdefault('config', prod)\n", ""),
    "others are put beside it": ("import sys, prod\nsys.modules.update({'config': prod})\n", ""),
    "a function sets names of what it gets": (
        "import config, helper\nhelper.fill(config, {'DEBUG': 1})\n",
        "def fill(module, values):\n    for key, value in values.items(): setattr(module, key, value)\n",
    ),
    "a function updates what it gets": (
        "import config\nfrom helper import fill\nfill(module=config)\n",
        "def fill(module):\n    vars(module).update(DEBUG=1)\n",
    ),
    "a folder comes before it": ("import sys\nsys.path.insert(0, 'lib')\n", ""),
}


@pytest.mark.interpreters
@pytest.mark.parametrize("case", _HELPERS)
def test_names_that_a_helper_sets_are_undecided(case: str, tmp_path: Path) -> None:
    helper, config = _HELPERS[case]
    files = {"helper.py": helper, "config.py": config, "main.py": "from config import DEBUG\n"}

    _assert_it_runs_and_is_undecided(files, tmp_path)


@pytest.mark.interpreters
@pytest.mark.parametrize("case", _BOOT)
def test_modules_that_others_replace_or_fill_are_undecided(case: str, tmp_path: Path) -> None:
    boot, helper = _BOOT[case]
    files = {**_CONFIG, "boot.py": boot, "helper.py": helper, "main.py": "import boot\nfrom config import DEBUG\n"}
    files.update({"prod.py": "DEBUG = 1\n", "lib/config.py": "DEBUG = 1\n"})

    _assert_it_runs_and_is_undecided(files, tmp_path)


def _assert_it_runs_and_is_undecided(files: dict[str, str], folder: Path) -> None:
    _assert_it_runs(files, folder)
    result = TextProject(files, "main.py").judge()
    assert lines_of(result) == []
    assert {item.path for item in result.undecided} == {"main.py"}


def _assert_it_runs(files: dict[str, str], folder: Path) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    assert subprocess.run([sys.executable, "-B", "main.py"], cwd=folder, check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("boot.py", "import sys, prod\nsys.modules['other'] = prod\n"),
        ("boot.py", "import sys\nname = sys.modules['config'].HOST\n"),
        ("boot.py", "import config\nprint(config)\n"),
        ("boot.py", "def fill(module, values):\n    for key in values: setattr(module, key, 1)\n"),
        ("boot.py", "import sys\nname = sys._getframe(0).f_globals.get('__name__')\n"),
        ("boot.py", "import sys\nsys.path.insert(0, 'lib')\n"),
        ("tests/test_boot.py", "import sys\ndef test(): sys.modules['config'] = 1\n"),
    ],
)
def test_what_changes_no_module_casts_no_doubt(name: str, text: str) -> None:
    files = {
        **_CONFIG,
        name: text,
        "lib/prod.py": "",
        "prod.py": "",
        "main.py": "import boot\nfrom config import DEBUG\n",
    }
    files.setdefault("boot.py", "")

    assert findings(files, "main.py") == [f"error main.py:2 {_TAKEN}"]


_CIRCLE = {
    "main.py": "import app\nimport app.a\n",
    "app/a.py": "from app.b import B\nA = 1\n",
    "app/b.py": "B = 1\nfrom app.a import A\n",
}


@pytest.mark.interpreters
def test_a_circle_that_computed_imports_enter_elsewhere_is_undecided(tmp_path: Path) -> None:
    files = {
        **_CIRCLE,
        "app/__init__.py": "from importlib import import_module\nfor n in 'ba': import_module('app.' + n)\n",
    }

    _assert_it_runs(files, tmp_path)
    result = TextProject(files, "main.py").judge()
    assert (lines_of(result), [item.path for item in result.undecided]) == ([], ["app/b.py"])
    plain = {**files, "app/__init__.py": "from importlib import import_module\nimport_module('json')\n"}
    assert len(findings(plain, "main.py")) == 1
    late = {**files, "app/__init__.py": "", "unused.py": files["app/__init__.py"]}
    assert len(findings(late, "main.py")) == 1


_LONG = 200_000


@pytest.mark.parametrize(
    "word",
    [
        *(
            "cp ",
            "sed ",
            "sed -i ",
            "cp '",
            ">",
            "a",
            "xargs sed ",
            "config.py ",
            "sed -i config.py\n",
            "f( ",
            "f(a,",
            "setattr(",
        ),
        *(
            "setattr( ",
            "setattr(x,",
            "vars(",
            "globals = ",
            "modules[",
            "modules.update(",
            "patch.dict(modules",
            "import_module( ",
        ),
        *(
            ".DEBUG:",
            ".DEBUG,",
            ".DEBUG ",
            "with a as ",
            "for a.",
            "def ",
            "write.py",
            "'DEBUG.",
            "config.",
            "x = globals ",
        ),
    ],
)
@pytest.mark.parametrize("begin", ["config.py DEBUG ", "write.py globals modules setattr(a, b) DEBUG config "])
def test_a_text_that_somebody_made_long_is_searched_in_time(word: str, begin: str) -> None:
    """A pattern that looks twice for each place takes minutes for what a repository may hold."""
    text = begin + word * (_LONG // len(word))
    fault = ImportFault(
        FaultKind.UNBOUND,
        _loaded("main"),
        ImportStatement(1, 1, ImportForm.FROM, "config", ("DEBUG",)),
        "DEBUG",
        _loaded("config"),
        True,
        (),
    )
    changes = _changes(text, [("/srv/long.py", text.encode()), ("/srv/config.py", _CONFIG["config.py"].encode())])
    started = time.process_time()

    changes.look_for([fault])
    changes.why_other(fault, ())
    changes.why_rewritten("/srv/app/config.py")

    assert time.process_time() - started < 5


def _loaded(name: str) -> LoadedModule:
    return LoadedModule(name, ModuleLocation(ModuleKind.MODULE, f"/srv/{name}.py"))


def _changes(build: str, sources: Sequence[tuple[str, bytes]] = ()) -> ChangedModules:
    def read_each(_wanted: object) -> Iterator[tuple[str, bytes]]:
        return iter(sources)

    return ChangedModules(
        ProjectTexts(lambda _path: None, lambda _path: False, lambda _path: None, build.encode), read_each
    )


def _undecided(files: dict[str, str], *, build: str) -> list[tuple[str, int]]:
    result = TextProject(files, "main.py").judge(build=build.encode())
    assert lines_of(result) == []
    return [(item.path, item.line) for item in result.undecided]
