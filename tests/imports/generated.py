"""Small projects made from shapes, with import faults or none, and what a real Python says when it imports them."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple


class Project(NamedTuple):
    """Files by their path, the folders that come first on sys.path, and what is started: a script, a module, or `-m`."""

    files: Mapping[str, str]
    path: tuple[str, ...]
    how: str  # script, module, main
    start: str


class Outcome(NamedTuple):
    """Where an import failed: the innermost line of the project; none where all went well."""

    file: str
    line: int
    message: str


_DRIVER = r"""
import importlib, json, os, runpy, sys, traceback
sys.dont_write_bytecode = True

def run(project):
    folder = project["folder"]
    os.chdir(folder)
    sys.path[:0] = [os.path.join(folder, part) for part in project["path"]]
    try:
        if project["how"] == "script":
            runpy.run_path(os.path.join(folder, project["start"]), run_name="__main__")
        elif project["how"] == "main":
            runpy.run_module(project["start"], run_name="__main__", alter_sys=True)
        else:
            importlib.import_module(project["start"])
    except BaseException as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(folder)]
        file = os.path.relpath(frames[-1].filename, folder) if frames else ""
        return [file, frames[-1].lineno if frames else 0, "%s: %s" % (type(error).__name__, error)]
    return None

for line in sys.stdin:
    read, write = os.pipe()
    if os.fork() == 0:
        os.close(read)
        with os.fdopen(write, "w") as out:
            json.dump(run(json.loads(line)), out)
            out.flush()
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        print(answer.read(), flush=True)
    os.wait()
"""


class RealPython:
    """A child interpreter that starts projects, each in a fork of its own."""

    def __init__(self, python: Path, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._child = subprocess.Popen(
            [python, "-I", "-S", "-c", _DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def close(self) -> None:
        """End the child."""
        self._child.communicate()

    def start(self, project: Project) -> Outcome | None:
        """Start a project; where it failed, None where it did not."""
        self._count += 1
        folder = self._folder / str(self._count)
        for name, text in project.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        task = {"folder": str(folder), "path": project.path, "how": project.how, "start": project.start}
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(task) + "\n")
        self._child.stdin.flush()
        answer = json.loads(self._child.stdout.readline())
        return None if answer is None else Outcome(*answer)


_NAMES = ("alpha", "beta", "gamma", "delta", "omega")


class _Maker:
    """Makes one project from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._of_uses = random.Random(-seed - 1)  # what is drawn beside leaves the projects of each seed as they are
        self._modules: list[str] = []  # dotted
        self._packages: set[str] = set()

    def make(self) -> Project:
        pick = self._random
        shape = pick.choice(["flat", "package", "nested", "src", "namespace", "script"])
        root = "src/" if shape == "src" else ""
        self._lay_out(shape)
        files = {root + self._file(name): self._source(name) for name in self._modules}
        if shape == "script":
            files["app/run.py"] = self._source("app.run")
            return Project(files, ("app",), "script", "app/run.py")
        start = pick.choice(self._modules)
        files[f"{root}main.py"] = f"import {start}\n{self._source('main')}"
        how = pick.choice(["script", "module", "module", "main"])
        return Project(files, (root or ".",), how, f"{root}main.py" if how == "script" else "main")

    def _lay_out(self, shape: str) -> None:
        pick = self._random
        if shape == "flat":
            self._modules = list(_NAMES[: pick.randint(2, 4)])
            return
        self._packages = {"app"} if shape != "namespace" else set()
        self._modules = [f"app.{name}" for name in _NAMES[: pick.randint(2, 4)]]
        if shape == "nested":
            self._packages.add("app.core")
            self._modules += [f"app.core.{name}" for name in _NAMES[:2]]
        self._modules += sorted(self._packages)

    def _file(self, name: str) -> str:
        path = name.replace(".", "/")
        return f"{path}/__init__.py" if name in self._packages else f"{path}.py"

    def _source(self, name: str) -> str:
        pick = self._random
        lines = [f"{name.rpartition('.')[2]}_first = 1"] if pick.random() < 0.7 else []
        for _ in range(pick.randint(0, 2)):
            imported = self._import(name)
            lines += imported + (self._use(imported[0]) if len(imported) == 1 else [])
        lines += [f"{name.rpartition('.')[2]}_last = 2", "def function(): pass"]
        if pick.random() < 0.1:
            lines += [
                "def __getattr__(name):",
                "    if name.startswith('_'): raise AttributeError(name)",
                "    return 1",
            ]
        return "\n".join(lines) + "\n"

    def _import(self, name: str) -> list[str]:
        pick = self._random
        target = pick.choice(self._modules)
        stem = target.rpartition(".")[2]
        wanted = pick.choice([f"{stem}_first", f"{stem}_last", "function", "nothing", "__doc__"])
        if pick.random() < 0.1:
            target = pick.choice([f"{target}x", target.title(), f"{target}.deeper"])
        text = pick.choice([f"import {target}", f"from {target} import {wanted}", self._relative(name, target, wanted)])
        if pick.random() < 0.07:
            text = f"from {target} import *"
        return pick.choice(
            [[text]] * 6
            + [
                ["try:", f"    {text}", "except ImportError:", "    pass"],
                ["def late():", f"    {text}"] if "*" not in text else ["pass"],
                ["import sys", "if sys.version_info < (3, 6):", f"    {text}"],
                ["if len(__name__) > 1:", f"    {text}"],
                ["if __name__ == '__main__':", f"    {text}"],
            ]
        )

    def _use(self, text: str) -> list[str]:
        """A name that is taken by a dot from the module that an import brings, if it is one."""
        pick = self._of_uses
        words = text.split()
        stems = {name.rpartition(".")[2] for name in self._modules}
        if words[-1].rpartition(".")[2] not in stems or pick.random() < 0.1:
            return []
        stem = words[-1].rpartition(".")[2]
        wanted = pick.choice([f"{stem}_first", f"{stem}_last", "function", "nothing", "nothing", "nothing"])
        taken = f"{words[-1]}.{wanted}"
        return pick.choice(
            [
                [f"VALUE = {taken}"],
                [taken],
                [f"def call(a={taken}): pass"],
                ["class Held:", f"    value = {taken}"],
                ["def used():", f"    return {taken}"],
                [f"MADE = lambda: {taken}"],
                ["try:", f"    {taken}", "except AttributeError:", "    pass"],
                ["if len(__name__) > 1:", f"    {taken}"],
                [f"EITHER = 1 if len(__name__) else {taken}"],
                ["import sys", f"OLDER = sys.version_info < (3, 6) and {taken}"],
            ]
        )

    def _relative(self, name: str, target: str, wanted: str) -> str:
        stem = target.rpartition(".")[2]
        level = self._random.choice([".", ".", "..", "..."])
        if self._random.random() < 0.5:
            return f"from {level} import {stem}"
        return f"from {level}{stem} import {wanted}"


def make_projects(seeds: Iterable[int]) -> list[Project]:
    """A project for each seed."""
    return [_Maker(seed).make() for seed in seeds]
