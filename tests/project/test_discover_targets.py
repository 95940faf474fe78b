"""Targets from a stage in memory: who decides, what is noted, and what is refused."""

from __future__ import annotations

import pytest

from buildguard.errors import UnprovenError, UsageError
from buildguard.project import discovery, project_files, service_targets
from buildguard.project.config import Config, FolderConfig, ServiceTable
from buildguard.project.discovery import DiscoveredTargets
from buildguard.project.image_reference import why_version_unknown
from buildguard.project.target import PythonVersion, Target
from buildguard.project.yaml import InvalidYamlError
from tests.project.memory import MemoryStage

_TWO_SERVICES = {
    "api/Dockerfile": "FROM python:3.9\nCOPY main.py .\n",
    "api/main.py": "x = 1\n",
    "web/Dockerfile": "FROM python:3.12\nCOPY main.py .\n",
    "web/main.py": "x = 1\n",
}


def _discover(
    files: dict[str, str | None], *flags: str, config: Config | None = None, service: str = ""
) -> DiscoveredTargets:
    stage = MemoryStage(files)
    return discovery.discover_targets(stage, config or Config(), stage.sources(), flags, service)


def _targets(discovered: DiscoveredTargets) -> list[tuple[str, str, str | None]]:
    return [(target.python, target.found_in, target.context) for target in discovered.targets]


def test_a_flag_decides_alone() -> None:
    discovered = _discover({"Dockerfile": "FROM python:3.9\n", "a.py": ""}, "3.11", "3.12")

    assert _targets(discovered) == [("3.11", "--target", ""), ("3.12", "--target", "")]
    assert not discovered.targets[0].conflicts


def test_a_dockerfile_that_runs_no_source_has_no_note() -> None:
    files = {"web/Dockerfile": "FROM python:3.12\nCOPY . .\n", "api/Dockerfile": "FROM python:3.9\nCOPY . .\n"}
    stage = MemoryStage({**files, "web/main.py": "", "api/main.py": ""})
    sources = [entry for entry in stage.sources() if entry.path.startswith(b"api/")]

    everything = discovery.discover_targets(stage, Config(), stage.sources(), (), "")
    of_api = discovery.discover_targets(stage, Config(), sources, (), "")

    assert [note.partition(":")[0] for note in everything.notes] == ["api/Dockerfile", "web/Dockerfile"]
    assert [note.partition(":")[0] for note in of_api.notes] == ["api/Dockerfile"]


def test_a_flag_for_one_service_covers_its_context() -> None:
    discovered = _discover({**_TWO_SERVICES}, "3.11", service="api")

    assert _targets(discovered) == [("3.11", "--target", "api")]
    assert not discovered.targets[0].conflicts


def test_a_configured_target_names_the_dockerfiles_that_contradict_it() -> None:
    config = Config("pyproject.toml", ("3.11",), 4)

    discovered = _discover({**_TWO_SERVICES, ".python-version": "3.10\n"}, config=config)

    assert _targets(discovered) == [("3.11", "pyproject.toml:4", "")]
    assert [place.file for place in discovered.targets[0].conflicts] == [
        ".python-version",
        "api/Dockerfile",
        "web/Dockerfile",
    ]


def test_each_dockerfile_runs_its_own_context() -> None:
    discovered = _discover({**_TWO_SERVICES})

    assert _targets(discovered) == [("3.9", "api/Dockerfile:1", "api"), ("3.12", "web/Dockerfile:1", "web")]


def test_a_service_is_picked_by_name_folder_or_dockerfile() -> None:
    for name in ("web", "web/Dockerfile"):
        assert _targets(_discover({**_TWO_SERVICES}, service=name)) == [("3.12", "web/Dockerfile:1", "web")]
    with pytest.raises(UsageError, match="unknown service 'db'"):
        _discover({**_TWO_SERVICES}, service="db")


_SHARED_CONTEXT = {
    "api/Dockerfile": "FROM python:3.9\nCOPY api shared /app/\n",
    "api/main.py": "",
    "web/Dockerfile": "FROM python:3.12\nCOPY web shared /app/\n",
    "web/main.py": "",
    "shared/u.py": "",
    "compose.yaml": "services:\n  api: {build: {context: ., dockerfile: api/Dockerfile}}\n"
    "  web: {build: {context: ., dockerfile: web/Dockerfile}}\n",
}


@pytest.mark.parametrize("flags", [(), ("3.11",)])
def test_a_picked_service_leaves_what_another_one_copies_alone(flags: tuple[str, ...]) -> None:
    discovered = _discover({**_SHARED_CONTEXT}, *flags, service="api")

    [target] = discovered.targets
    assert _files_of(target, discovered) == ["api/main.py", "shared/u.py"]


def test_a_target_that_a_folder_sets_has_the_files_of_its_image() -> None:
    config = Config(folders=(FolderConfig("api", "api/buildguard.toml", ("3.11",), 1),))

    discovered = _discover({**_SHARED_CONTEXT}, config=config)

    assert {target.python: _files_of(target, discovered) for target in discovered.targets} == {
        "3.11": ["api/main.py", "shared/u.py"],
        "3.12": ["shared/u.py", "web/main.py"],
    }


def _files_of(target: Target, discovered: DiscoveredTargets) -> list[str]:
    stage = MemoryStage({**_SHARED_CONTEXT})
    among = (*discovered.targets, *discovered.neighbours)
    return sorted(entry.path.decode() for entry in discovery.covered_entries(target, among, stage.sources()))


def test_files_outside_of_every_context_run_under_what_the_root_declares() -> None:
    files = {**_TWO_SERVICES, "tool.py": "x = 1\n"}

    declared = _discover({**files, ".python-version": "3.10\n"})
    undeclared = _discover({**files})

    assert _targets(declared)[-1] == ("3.10", ".python-version:1", None)
    assert _targets(undeclared)[-1] == ("unknown", "the root", None)


def test_a_target_without_a_source_under_check_is_left_out() -> None:
    stage = MemoryStage({**_TWO_SERVICES})

    discovered = discovery.discover_targets(stage, Config(), [e for e in stage.sources() if e.path == b"api/main.py"])

    assert [target.context for target in discovered.targets] == ["api"]


def test_an_image_that_only_runs_a_build_step_decides_nothing() -> None:
    build = "steps:\n- name: python:3.9\n  entrypoint: pytest\n"

    with pytest.raises(UsageError) as refused:
        _discover({"cloudbuild.yaml": build, "a.py": ""})

    assert "the target Python is unknown" in str(refused.value)
    assert "cloudbuild.yaml:2" in refused.value.hint


@pytest.mark.parametrize(
    ("file", "hint"),
    [
        ("", 'add to pyproject.toml:\n  [tool.buildguard]\n  target = ["3.11"]'),
        ("pyproject.toml", 'add to pyproject.toml:\n  [tool.buildguard]\n  target = ["3.11"]'),
        ("buildguard.toml", 'add to the top of buildguard.toml:\n  target = ["3.11"]'),
    ],
)
def test_the_hint_names_the_file_that_is_read(file: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        _discover({"a.py": ""}, config=Config(file))

    assert refused.value.hint == hint


def test_a_broken_build_file_is_raised_only_where_nothing_else_decides() -> None:
    broken: dict[str, str | None] = {"cloudbuild.yaml": "a: [", "a.py": ""}

    with pytest.raises(InvalidYamlError):
        _discover(broken)
    assert _targets(_discover({**broken, "runtime.txt": "python-3.11.9\n"})) == [("3.11.9", "runtime.txt:1", "")]


def test_a_compose_file_that_cannot_be_read_costs_a_note_and_a_dockerfile_the_answer() -> None:
    noted = _discover({"compose.yaml": None, "Dockerfile": "FROM python:3.9\n", "a.py": ""})

    assert noted.notes == ("compose.yaml: permission denied; its build contexts are not known",)
    with pytest.raises(UnprovenError, match="Dockerfile: permission denied"):
        _discover({"Dockerfile": None, "a.py": ""})


def test_configured_services_are_the_only_ones() -> None:
    config = Config("pyproject.toml", services=(ServiceTable("main", "web/Dockerfile", "web", 7),))

    discovered = _discover(
        {path: text for path, text in _TWO_SERVICES.items() if "main.py" not in path or "web" in path}, config=config
    )

    assert [(target.service, target.python) for target in discovered.targets] == [("main", "3.12")]


def test_recipes_are_the_images_that_are_built() -> None:
    recipes = discovery.list_recipes(MemoryStage({**_TWO_SERVICES}), Config())

    assert [(recipe.service.name, recipe.dockerfile[:16]) for recipe in recipes] == [
        ("api", b"FROM python:3.9\n"),
        ("web", b"FROM python:3.12"),
    ]
    assert [r.service.name for r in discovery.list_recipes(MemoryStage({**_TWO_SERVICES}), Config(), "web")] == ["web"]


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        (b"cloudbuild.yaml", True),
        (b"ci/cloudbuild-staging.yml", True),
        (b"api.cloudbuild.json", True),
        (b"cloudbuild.yaml.bak", False),
        (b"mycloudbuild.yaml", False),
        (b".github/cloudbuild.yaml", False),
        (b"cloudbuild.toml", False),
    ],
)
def test_names_of_build_files(path: bytes, is_one: bool) -> None:
    assert project_files.is_build_file_name(path) is is_one


@pytest.mark.parametrize(
    ("folder", "other", "below"), [("a/b", "a", True), ("a", "", True), ("", "", False), ("ab", "a", False)]
)
def test_a_folder_below_another_one(folder: str, other: str, below: bool) -> None:
    assert service_targets.is_below(folder, other) is below


def test_dockerfiles_of_other_names_are_those_that_are_built() -> None:
    files: dict[str, str | None] = {
        "image.txt": "FROM python:3.9\n",
        "deploy/image": "FROM python:3.10\n",
        "other.txt": "FROM python:3.11\n",
        "cloudbuild.yaml": "steps:\n- name: gcr.io/cloud-builders/docker\n  args: [build, -f, image.txt, .]\n",
        "compose.yaml": "services: {web: {build: {context: ., dockerfile: deploy/image}}}\n",
        "a.py": "",
    }

    assert _targets(_discover(files)) == [("3.10", "deploy/image:1", ""), ("3.9", "image.txt:1", "")]


@pytest.mark.parametrize(
    ("file", "content", "command", "refusal"),
    [
        ("pyproject.toml", "[project]\nrequires-python = '>=3.12'\n", "pip install .", "Dockerfile:3: `pip install`"),
        (
            "pyproject.toml",
            "[project]\nrequires-python = '>=3.12'\n",
            "uv sync --no-python-downloads",
            "Dockerfile:3: `uv sync`",
        ),
        ("pyproject.toml", "[project]\nrequires-python = '>=3.12'\n", "uv sync", ""),
        (
            "uv.lock",
            'version = 1\nrequires-python = ">=3.12"\n\n[[package]]\n',
            "uv sync --no-managed-python",
            "Dockerfile:3: `uv sync`",
        ),
        ("poetry.lock", '[[package]]\n\n[metadata]\npython-versions = "^3.12"\n', "poetry install", "`poetry install`"),
        ("poetry.lock", '[[package]]\n\n[metadata]\npython-versions = "^3.12"\n', "pip install .", ""),
        ("pyproject.toml", "[project]\nrequires-python = '>=3.12'\n", "pip install -r requirements.txt", ""),
        (".python-version", "3.12\n", "pip install .", ""),
    ],
)
def test_a_range_is_refused_where_the_project_is_installed(file: str, content: str, command: str, refusal: str) -> None:
    dockerfile = f"FROM python:3.11\nCOPY . .\nRUN {command}\n"

    [target] = _discover({"Dockerfile": dockerfile, "a.py": "", file: content}).targets

    [conflict] = target.conflicts
    assert conflict.file == file
    assert refusal in conflict.refusal
    assert bool(refusal) == bool(conflict.refusal)


def test_a_lock_file_names_its_line() -> None:
    lock = '[[package]]\nname = "x"\n\n[metadata]\nlock-version = "2.0"\npython-versions = ">=3.10,<4"\n'

    assert _targets(_discover({"poetry.lock": lock, "a.py": ""})) == [("3.10", "poetry.lock:6", "")]
    assert _targets(_discover({"uv.lock": "version = 1\nrequires-python = '>=3.11'\n", "a.py": ""})) == [
        ("3.11", "uv.lock:2", "")
    ]


def test_a_dockerfile_is_divided_by_any_blank_and_a_part_of_one_is_no_target() -> None:
    files: dict[str, str | None] = {
        "Dockerfile": "FROM\tpython:3.9-slim AS x\nCOPY\t. .\n",
        "Dockerfile.footer": "RUN pip install x\n",
        "a.py": "",
    }

    assert _targets(_discover(files)) == [("3.9", "Dockerfile:1", "")]


def test_a_range_in_a_version_file_counts_with_its_lowest() -> None:
    assert _targets(_discover({".python-version": ">= 3.10\n", "a.py": ""})) == [("3.10", ".python-version:1", "")]


@pytest.mark.parametrize("file", ["pyproject.toml", "poetry.lock"])
def test_an_exact_version_of_poetry_is_a_range(file: str) -> None:
    pyproject = '[tool.poetry.dependencies]\npython = "3.11.7 || 3.12.1"\n'
    lock = '[[package]]\n\n[metadata]\npython-versions = "3.11.7 || 3.12.1"\n'

    (target,) = _discover({file: pyproject if file == "pyproject.toml" else lock, "a.py": ""}).targets

    assert target.python == "3.11"
    assert target.specifier == "==3.11.7 || ==3.12.1"


def test_what_is_no_range_leaves_the_target_unknown() -> None:
    project: dict[str, str | None] = {"pyproject.toml": '[project]\nrequires-python = "three"\n', "a.py": ""}

    (alone,) = _discover(project).targets
    beside = _discover({**project, "Dockerfile": "FROM python:3.11\n"})

    assert (alone.python, alone.why_unknown) == ("unknown", "'three' is no version range")
    assert _targets(beside) == [("3.11", "Dockerfile:1", "")]
    assert beside.notes == ("pyproject.toml:2: 'three' is no version range; what it declares is unknown",)


@pytest.mark.parametrize("text", ["3.16", "3.16-dev", "3.17.0a1"])
def test_a_newer_python_than_those_that_are_known_has_a_plain_sentence(text: str) -> None:
    with pytest.raises(UsageError, match=r"^Python 3\.1[67] is newer than every version that buildguard knows"):
        PythonVersion.typed(text)
    (target,) = _discover({".python-version": f"{text}\n", "a.py": ""}).targets
    assert "is newer than every version" in target.why_unknown
    assert "is newer than every version" in why_version_unknown(f"python:{text.removesuffix('-dev')}-slim")
    assert "its name has none" in why_version_unknown(f"lsiobase/alpine:{text.removesuffix('-dev')}")


def test_another_implementation_has_a_plain_sentence() -> None:
    with pytest.raises(UsageError, match=r"'pypy3\.10' is not CPython"):
        PythonVersion.typed("pypy3.10")


@pytest.mark.parametrize(
    "files",
    [
        {".python-version": "3.14t\n"},
        {"Dockerfile": "FROM python:3.14t\nCOPY a.py .\n"},
        {"runtime.txt": "python-3.14.1t"},
    ],
)
def test_a_free_threaded_build_is_the_same_target(files: dict[str, str]) -> None:
    discovered = _discover({**files, "a.py": ""})

    (target,) = discovered.targets
    assert target.python.startswith("3.14")
    assert [note for note in discovered.notes if "is a free-threaded build" in note]
    assert _discover({".python-version": "3.14\n", "a.py": ""}).notes == ()
    assert "free-threaded" in _discover({"a.py": ""}, "3.14t").notes[0]
