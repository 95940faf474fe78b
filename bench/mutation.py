"""Mutation testing: the code that verdicts rest on is changed in one place at a time, and some test has to notice.

mutmut does it, with the operators that change what a program decides: numbers, comparisons, `and` and `or`, arithmetic,
conditions turned round, calls left out, branches of conditional expressions. Letters of messages are left alone (a test
of each would be its copy), and so is what mypy refuses anyway (an argument dropped, None for a value).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import libcst as cst

_REPOSITORY = Path(__file__).parents[1]
_PAGE = _REPOSITORY / "docs/mutation.md"
_EXPLAINED = Path(__file__).with_name("survivors.json")
_FILES = [".pre-commit-hooks.yaml", "Dockerfile", "README.md"]
_RESULTS = Path(__file__).with_name("results")
_RULES = "tests/fstrings/test_"
_SELECTED = {
    "fstrings/escape": [f"{_RULES}escape.py"],
    "fstrings/prefilter": [f"{_RULES}prefilter.py"],
    "check/suppressions": ["tests/check/test_run.py", f"{_RULES}check.py"],
    "fstrings/tokens": [f"{_RULES}tokens.py"],
    "fstrings/rules": [f"{_RULES}masked.py", f"{_RULES}rules.py", f"{_RULES}check.py"],
    "fstrings/legacy_parser": [f"{_RULES}legacy_parser.py", f"{_RULES}rules.py"],
    "fstrings/parser": [f"{_RULES}parser.py", f"{_RULES}rules.py"],
    "fstrings/violations": [f"{_RULES}rules.py", f"{_RULES}masked.py"],
    "fstrings/fix_plan": [f"{_RULES}libcst_check.py", f"{_RULES}fix_plan.py", f"{_RULES}rewrite.py"],
    "fstrings/libcst_check": [f"{_RULES}libcst_check.py"],
    "fstrings/statements": [f"{_RULES}statements.py"],
    "fstrings/rewrite": [f"{_RULES}rewrite.py", f"{_RULES}fix_plan.py"],
    "stages/manifest": ["tests/compare/test_manifest.py"],
    "compare/difference": [
        "tests/compare/test_difference.py",
        "tests/compare/test_matrix.py",
        "tests/compare/test_diff.py",
    ],
    "system/cache": ["tests/system/test_cache.py"],
}
# they take long
_ELSEWHERE = [
    "--deselect=tests/fstrings/test_fix_plan.py::test_every_fixable_case_runs_the_same",
    "--deselect=tests/fstrings/test_rules.py::test_hostile_sources_end_soon",
    # what is kept is proven there, and nothing is rewritten
    "--deselect=tests/fstrings/test_rewrite.py::test_rewrites_are_legal",
    "--deselect=tests/fstrings/test_rewrite.py::test_rewrites_mean_the_same",
]
# the same damages between two pairs of stages: more of them take long and reach no other line
_MORE = {"compare/difference": ["-k", "commit-worktree or worktree-tgz or test_diff"]}


class Mutant(NamedTuple):
    """One change: where, the line before and after, and whether something noticed it."""

    module: str
    function: str
    before: str
    after: str
    status: str


def main(names: Sequence[str]) -> None:
    """Mutate what is named, or everything; the page tells the last run of each."""
    _RESULTS.mkdir(parents=True, exist_ok=True)
    for name in names or _SELECTED:
        with tempfile.TemporaryDirectory(prefix="buildguard-mutants-") as scratch:
            found = _run(Path(scratch), name)
        _result(name).write_text(json.dumps(found), "utf-8")
        _print(name, found)
    write_page()


def write_page() -> None:
    """The page from the last run of each, with what is explained by now."""
    rows = {name: json.loads(_result(name).read_text("utf-8")) for name in _SELECTED if _result(name).is_file()}
    _PAGE.write_text(_page({name: [Mutant(*row) for row in found] for name, found in rows.items()}), "utf-8")


def _result(name: str) -> Path:
    """Where the last run of what is named is kept."""
    return _RESULTS / f"mutation-{name.replace('/', '-')}.json"


def _run(scratch: Path, name: str) -> list[Mutant]:
    checkout = scratch / "main"
    shutil.copytree(_REPOSITORY, checkout, ignore=shutil.ignore_patterns(".venv*", ".git", "trees", ".*_cache", "site"))
    settings = {
        "source_paths": ["buildguard"],
        "only_mutate": [f"buildguard/{name}.py"],
        "also_copy": ["bench", "examples", "hooks", "docs", "scripts", "cloudbuild.yaml", ".buildguard", *_FILES],
        "pytest_add_cli_args": [
            "-n",
            "0",
            "-p",
            "no:cacheprovider",
            "-p",
            "tests.mutation",
            # interpreters that were kept for another mutant are let go of without a farewell
            "-W",
            "ignore::pytest.PytestUnraisableExceptionWarning",
            *_ELSEWHERE,
            *_MORE.get(name, []),
        ],
        "pytest_add_cli_args_test_selection": _SELECTED[name],
        "track_dependencies": False,
        "timeout_multiplier": 3.0,  # some changes never end
        "timeout_constant": 10.0,
    }
    with (checkout / "pyproject.toml").open("a") as project:
        project.write("\n[tool.mutmut]\n")
        project.writelines(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
    environment = {**os.environ, "PYTHONPATH": str(_REPOSITORY)}
    command = [sys.executable, "-c", "from bench.mutation import mutate; mutate()", "run"]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stdout[-4000:] + done.stderr[-4000:])
    said = subprocess.run([*command[:-1], "tell"], cwd=checkout, env=environment, capture_output=True, check=True)
    return [Mutant(*row) for row in json.loads(said.stdout)]


def mutate() -> None:
    """What runs in the copy: mutmut with our choice of operators, or (`tell`) what came of it, as JSON."""
    import libcst
    from mutmut.__main__ import cli
    from mutmut.mutation import file_mutation, mutators
    from mutmut.workers.isolation import ForkRunner

    letters = {"operator_string", "operator_assignment", "operator_arg_removal", "operator_dict_arguments"}
    kept = [row for row in mutators.mutation_operators if row[1].__name__ not in letters]
    file_mutation.mutation_operators = [*kept, (libcst.If, _turned), (libcst.Expr, _left_out)]
    ForkRunner.wait_for_result = _patient(ForkRunner.wait_for_result)
    if sys.argv[1] == "run":
        cli()
    else:
        print(json.dumps(list(_told())))


def _patient(wait: Callable[..., object]) -> Callable[..., object]:
    """Waiting for a mutant's process, where a test has left a child of its own behind."""

    def waiting(*words: object, **more: object) -> object:
        while True:
            try:
                return wait(*words, **more)
            except KeyError:
                continue

    return waiting


def _turned(node: cst.If) -> Iterable[cst.If]:
    """The condition turned round."""
    import libcst as cst

    inner = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    test = cst.UnaryOperation(cst.Not(), inner, lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    yield node.with_changes(test=test)


def _left_out(node: cst.Expr) -> Iterable[cst.Expr]:
    """A call whose value is unused, left out."""
    import libcst as cst

    if isinstance(node.value, cst.Call):
        yield node.with_changes(value=cst.Ellipsis())


def _told() -> Iterable[Mutant]:
    from mutmut.__main__ import get_diff_for_mutant, status_by_exit_code, walk_mutatable_files
    from mutmut.mutation.data import SourceFileMutationData

    for path in walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        for name, code in data.exit_code_by_key.items():
            lines = get_diff_for_mutant(name, path=path).splitlines()
            before, after = (
                " ".join(one[1:].strip() for one in lines if re.match(rf"\{sign}(?!\{sign})", one)) for sign in "-+"
            )
            function = re.sub(r"^x_?|__mutmut_\d+$", "", name.rpartition(".")[2])
            yield Mutant(str(path), function, before, after, status_by_exit_code[code])


_NOTICED = {"killed", "timeout", "suspicious", "segfault", "caught by type check"}
_TEXT = """# Mutation testing

`python -m bench.mutation` changes the code that verdicts rest on, one place at a time, runs the tests that reach it, and writes this page.
What no test notices is either equal to what was there, and says why, or a hole in the tests.

What is changed: numbers, comparisons, `and` and `or`, arithmetic, conditions turned round, branches of conditional expressions, calls left
out. Letters of messages are not, nor what mypy refuses anyway, nor regular expressions of a module (the programs of
[programs](programs.md) are what holds those).

| what | changed | noticed | survived, and explained | survived, and not |
|---|---|---|---|---|
"""


def _explained() -> dict[tuple[str, str], str]:
    return {(row["function"], row["after"]): row["why"] for row in json.loads(_EXPLAINED.read_text("utf-8"))}


def _survivors(mutants: Sequence[Mutant]) -> list[Mutant]:
    return [one for one in mutants if one.status not in _NOTICED]


def _print(name: str, mutants: Sequence[Mutant]) -> None:
    why = _explained()
    for one in _survivors(mutants):
        if (one.function, one.after) not in why:
            print(f"{one.module}: {one.function}: {one.status}", f"- {one.before}", f"+ {one.after}", "", sep="\n")
    print(f"{name}: {len(mutants)} changed, {len(_survivors(mutants))} survived", flush=True)


def _page(found: Mapping[str, Sequence[Mutant]]) -> str:
    why = _explained()
    text, rest = _TEXT, ""
    for name, mutants in found.items():
        left = _survivors(mutants)
        known = [one for one in left if (one.function, one.after) in why]
        text += (
            f"| `{name}` | {len(mutants)} | {len(mutants) - len(left)} | {len(known)} | {len(left) - len(known)} |\n"
        )
        rest += "".join(
            f"| `{one.function}` | `` {_cell(one.after)} `` | {why.get((one.function, one.after), '**not explained**')} |\n"
            for one in left
        )
    missing = ", ".join(f"`{name}`" for name in _SELECTED if name not in found)
    if missing:
        text += f"\nNot counted yet: {missing}.\n"
    return f"{text}\n## The survivors\n\n| where | what it became | why nothing can notice |\n|---|---|---|\n{rest}"


def _cell(code: str) -> str:
    return code.replace("|", "\\|")


if __name__ == "__main__":
    main(sys.argv[1:])
