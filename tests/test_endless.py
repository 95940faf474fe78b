"""What a hostile repository makes to take forever ends, and how it ends is right.

Each runs in a process of its own: without what stops it, it would take minutes, years, or all memory.
"""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from buildguard.errors import UnprovenError
from buildguard.project import dockerfile
from buildguard.project.cloudbuild.substitutions import substitute
from buildguard.project.ignore import docker_pattern, gcloud
from tests.conftest import ALL

_LONG = 'PATH = "a" * 250 + ".py"\n'
_DEEP = 'PATH = "/".join(["aaa"] * 60) + ".py"\n'
_DOCKER = """
from buildguard.project.ignore import docker
rules = docker.DockerIgnoreRules(lambda name: PATTERN.encode() if name == ".dockerignore" else None, "", "Dockerfile")
print(rules.drops(PATH))
"""
_GCLOUD = """
from buildguard.project.ignore import gcloud
rules = gcloud.GcloudIgnoreRules(lambda name: PATTERN.encode() if name == ".gcloudignore" else None, has_git=False)
print(rules.drops(PATH))
"""
_YAML = """
from buildguard.project import yaml as yamlfile
try:
    yamlfile.read(DATA, "cloudbuild.yaml")
except yamlfile.InvalidYamlError as error:
    print(error.problem)
"""
_SETTLED = "from buildguard.project.cloudbuild.substitutions import resolve_substitutions\n"
_TOML = "from buildguard.project import toml as tomlfile\nfrom buildguard.errors import UsageError\n"
_DOCKERFILE = "from buildguard.project import dockerfile\n"
_SCRIPT = """
from buildguard.project.start_command import CommandPlace, CommandText, StartContext
from buildguard.project.start_parser import parse_start
context = StartContext("/srv", {}, lambda path: TEXT.encode() if path == "/srv/s.sh" else None)
start = parse_start(CommandText(CommandPlace("Dockerfile", 3), ("sh", "s.sh", "a")), context)
print(start.script[:50], start.undecided)
"""
_STARS = """
import functools
from tests.imports.projects import TextProject, findings
TextProject.facts = functools.cache(TextProject.facts)
names = range(40)
files = {f"a{name}.py": "".join(f"from a{other} import *\\n" for other in names if other != name) for name in names}
files["main.py"] = "from a0 import " + ", ".join(f"x{number}" for number in range(300)) + "\\n"
print(findings(files, "main.py"))
"""
_REQUIREMENTS = """
from buildguard.startup.installs.requirements import read_requirement_file
files = {f"{number}.txt": f"-r {number + 1}.txt\\n" * 10 for number in range(8)} | {"8.txt": "flask\\n"}
print(len(read_requirement_file("0.txt", lambda name: files[name].encode()).lines))
"""
_ENDLESS = {
    "modules that import each other by stars": (_STARS, "[]"),
    "files of requirements that include others twice": (_REQUIREMENTS, "1"),
    "a variable of a script that doubles": (
        'TEXT = "A=x\\n" + \'A="$A$A$A$A"\\n\' * 60 + "exec python $A"' + _SCRIPT,
        "is known at run time only",
    ),
    "arguments of a script that double": (
        'TEXT = \'set -- "$@" "$@"\\n\' * 60 + \'exec python "$@"\'' + _SCRIPT,
        "the file $(…) is known at run time only",
    ),
    "digits of a number in a source": (
        (
            "from buildguard.startup.source_facts import read_facts\n"
            'print(read_facts(b"app.run(port=0x" + b"f" * 9000 + b")"), read_facts(b"x = 0xff") is not None)'
        ),
        "None True",
    ),
    "digits of a number": (
        _TOML
        + 'try: tomlfile.read(b"a = " + b"9" * 2_000_000, "pyproject.toml")\n'
        + "except UsageError as error: print(error.what)",
        "pyproject.toml is not valid TOML",
    ),
    "stars in a name, docker": (_LONG + 'PATTERN = "*a" * 30 + "*b"' + _DOCKER, "None"),
    "question marks, docker": (_LONG + 'PATTERN = "*?" * 60 + "b"' + _DOCKER, "None"),
    "classes, docker": (_LONG + 'PATTERN = "[a-z]*" * 20 + "*.py"' + _DOCKER, ".dockerignore:1"),
    "folders, docker": (_DEEP + 'PATTERN = "**/a*/" * 15 + "b"' + _DOCKER, "None"),
    "folders, gcloud": (_DEEP + 'PATTERN = "**/a*/" * 12 + "a*"' + _GCLOUD, ".gcloudignore:1"),
    "folders and no match, gcloud": (_DEEP + 'PATTERN = "/b/" + "**/a*/" * 12 + "a*"' + _GCLOUD, "None"),
    "depth, YAML": ('DATA = b"steps: " + b"[" * 100_000' + _YAML, "nested more than 60 deep"),
    "many values, YAML": (
        'DATA = b"steps:\\n" + b"- a: b\\n" * 400_000 + b"\\t["' + _YAML,  # which is wrong, and not read any more
        "more than 20,000 values",
    ),
    "continued lines": (
        _DOCKERFILE + 'print(len(dockerfile.instructions(b"RUN a \\\\\\n" * 200_000)[0].text))',
        str(len("RUN a ") * 200_000 - len("RUN ") - 1),
    ),
    "flags": (
        _DOCKERFILE + 'print(len(dockerfile.instructions(b"RUN " + b"--a " * 400_000 + b"b")[0].flags))',
        "400000",
    ),
    "variables that double": (
        _DOCKERFILE
        + 'data = b"ARG A=x\\n" + b"ARG A=$A$A\\n" * 60 + b"FROM $A\\n"\n'
        + "print(len(dockerfile.stages(data, {})[0].base) < 100_000)",
        "True",
    ),
    "substitutions that double": (
        _SETTLED
        + 'values = resolve_substitutions({f"_{number}": "$_0" * 1000 for number in range(20)}, {}, dynamic=True)\n'
        + "print(all(len(value) < 1_000_000 for value in values.values()))",
        "True",
    ),
    "parts of a key": (
        _TOML
        + 'try: tomlfile.read(b".".join([b"a"] * 200_000) + b" = 1", "pyproject.toml")\n'
        + "except UsageError as error: print(error.what)",
        "more than 100 parts",
    ),
}


@pytest.mark.interpreters
@pytest.mark.parametrize("what", _ENDLESS)
def test_it_ends(what: str) -> None:
    program, says = _ENDLESS[what]

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stderr
    assert says in done.stdout


def test_what_is_long_by_itself_is_filled_in() -> None:
    """It is what variables bring that may grow without end, and not what a person wrote."""
    text = "a" * 200_000

    assert dockerfile.expand_variables(f"{text}$A", {"A": "x"}) == substitute(f"{text}$A", {"A": "x"}) == f"{text}x"


_PIECES = (
    "*", "**", "**/", "?", "a", "b", "/", "[", "[a", "[^", "[ab]", "[^a]", "[]", "[*]", "[?]", "[**/]", "[a-b]", "]", "^",
    "-", "\\", "\\*", "\\]", ".", "(", ")", "|", "+",
)  # fmt: skip


def test_dockers_patterns_are_followed_as_their_expression_is_matched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own match of the whole is right, as long as it takes; here each is followed part by part."""
    rng = random.Random(7)
    matched = refused = 0
    rounds = 10_000 if ALL else 1_500
    for _ in range(rounds):
        pattern = "".join(rng.choice(_PIECES) for _ in range(rng.randint(1, 8)))
        try:
            monkeypatch.setattr(docker_pattern, "_MOST_OPEN", 100)
            whole = docker_pattern.compile_pattern(pattern)
            monkeypatch.setattr(docker_pattern, "_MOST_OPEN", -1)
            in_parts = docker_pattern.compile_pattern(pattern)
        except docker_pattern.PatternError:
            refused += 1
            continue
        for _ in range(6):
            path = "".join(rng.choice("ab/.*][^-\\?(:)|\n") for _ in range(rng.randint(0, 7)))
            matched += bool(whole(path))
            assert bool(in_parts(path)) == bool(whole(path)), (pattern, path)
    assert min(matched, refused) > rounds // 20


def test_gcloud_comes_to_no_end_and_we_say_so() -> None:
    pattern = "**/a/" * 60

    with pytest.raises(UnprovenError, match="comes to no end"):
        gcloud.GcloudIgnoreRules(
            lambda name: pattern.encode() if name == ".gcloudignore" else None, has_git=False
        ).drops("a")
