"""Which dependency groups of a lock file images install, by the options of their commands. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from buildguard.definitions import words
from buildguard.imports.lock import LockedPackages
from buildguard.imports.open_lock import installs_groups
from buildguard.project import dockerfile, run_commands
from buildguard.project.discovery import ImageRecipe
from buildguard.project.dockerfile import Instruction
from buildguard.project.dockerfile_python import follow
from buildguard.project.install_choice import WITH_VALUE, InstallChoice, has_option, poetry_choice, uv_choice

# The words of which a group is made that serves development alone.
_DEVELOPMENT = frozenset(
    words("""
        benchmark benchmarks bench build ci coverage debug dev develop development doc docs documentation e2e example examples
        format formatting jupyter lint linter linters linting local mypy notebook notebooks nox profiling qa quality release style
        test testing tests tooling tools tox typecheck typechecking types typing
    """)
)
_TOOLS = {"uv.lock": "uv", "poetry.lock": "poetry"}
_INSTALLS = {"uv": frozenset({"sync", "run", "export"}), "poetry": frozenset({"install", "sync", "export"})}
_OTHERS = {"uv": frozenset({"pip", "tool", "add"}), "poetry": frozenset({"run", "add", "config", "self"})}
_OF_RUN = frozenset(
    {"--with", "--python", "-p", "--env-file", "--directory", "--project", "--index", "--with-requirements"}
)
_UNSYNCED = ("--no-sync", "--no-project")
_RUNNING = frozenset({"RUN", "CMD", "ENTRYPOINT"})


def with_installed_groups(locked: LockedPackages, recipes: Sequence[ImageRecipe]) -> LockedPackages:
    """A lock with the groups that every image installs; without an image those of a plain install that do not serve development."""
    if not recipes:
        return locked.with_groups(name for name in locked.defaults if not _serves_development(name))
    each = [_of_image(recipe, locked) for recipe in recipes]
    known = [names for names in each if names is not None]
    return locked.with_groups(frozenset.intersection(*known)) if known else locked.with_every_group()


def _serves_development(group: str) -> bool:
    return not _DEVELOPMENT.isdisjoint(group.split("-"))


def _of_image(recipe: ImageRecipe, locked: LockedPackages) -> frozenset[str] | None:
    """The groups that an image installs; None where it may be all of them."""
    tool = _TOOLS.get(locked.file.rpartition("/")[2], "")
    choices = [*_choices(recipe, tool)] if tool and locked.groups else []
    if not choices:
        return None if installs_groups(recipe) else frozenset()
    if None in choices:
        return None
    known = [choice for choice in choices if choice is not None]
    wanted = (name for name in locked.groups if any(_wants(choice, name, locked) for choice in known))
    return frozenset(wanted)


def _wants(choice: InstallChoice, group: str, locked: LockedPackages) -> bool:
    return choice.wants_group(group, is_default=group in locked.defaults)


def _choices(recipe: ImageRecipe, tool: str) -> Iterator[InstallChoice | None]:
    """What each command of an image asks a lock for; None for one that is not clear."""
    stages = dockerfile.stages(recipe.dockerfile, dict(recipe.service.build_args))
    for number in sorted(dockerfile.needed_stages(stages, recipe.service.stage)):
        chain = follow(stages, number).chain
        variables = _variables(step for stage in chain for step in stage.instructions)
        for step in chain[0].instructions:
            if step.name in _RUNNING and tool in step.text:
                yield from _of_step(step, tool, variables)


def _variables(steps: Iterable[Instruction]) -> dict[str, str]:
    settings = (step for step in steps if step.name in {"ENV", "ARG"})
    return {
        name: value for step in settings for name, value in dockerfile.assignments(step.name, step.text, {}).items()
    }


def _of_step(step: Instruction, tool: str, variables: Mapping[str, str]) -> Iterator[InstallChoice | None]:
    commands = _commands(step.text)
    if commands is None:
        yield None
        return
    own = dict(variables)
    for command in commands:
        at = _position(command, tool)
        own.update(pair for word in command[:at] for pair in dockerfile.assignments("ARG", word, {}).items())
        name, rest = _subcommand(command[at + 1 :], tool)
        if name == "run":
            rest = [*_options_of_run(rest)]
        if name and not _leaves_lock(name, rest, own):
            yield _choice(tool, name, rest, own)


def _commands(text: str) -> list[list[str]] | None:
    """The words of the commands of an instruction; None where its quotes do not match."""
    listed = dockerfile.exec_words(text)
    if listed is not None:
        return [listed]
    try:
        return [list(command.words) for command in run_commands.split(text)]
    except ValueError:
        return None


def _position(command: Sequence[str], tool: str) -> int:
    """Where a command calls a tool, which words may stand before; its end where it does not."""
    return next((at for at, word in enumerate(command) if word.rpartition("/")[2] == tool), len(command))


def _leaves_lock(name: str, command: Sequence[str], variables: Mapping[str, str]) -> bool:
    """Whether `uv run` starts a program without an install of the lock."""
    return name == "run" and (has_option(command, *_UNSYNCED) or bool(variables.get("UV_NO_SYNC")))


def _subcommand(command: Sequence[str], tool: str) -> tuple[str, Sequence[str]]:
    """The command of a tool that installs a lock, and the words after it; empty for any other."""
    for at, word in enumerate(command):
        if word in _OTHERS[tool]:
            break
        if word in _INSTALLS[tool]:
            return word, [*command[:at], *command[at + 1 :]]
    return "", ()


def _options_of_run(command: Sequence[str]) -> Iterator[str]:
    """The options of `uv run` itself, which end where the program begins."""
    rest = iter(command)
    for word in rest:
        if not word.startswith("-") or word in {"-m", "--module", "--"}:
            return
        yield word
        if word in WITH_VALUE | _OF_RUN:
            yield next(rest, "")


def _choice(tool: str, name: str, command: Sequence[str], variables: Mapping[str, str]) -> InstallChoice | None:
    if any("$" in word for word in command):
        return None
    choice = uv_choice(command, variables) if tool == "uv" else poetry_choice(command)
    # what poetry exports are the project's own dependencies, and the groups that are named
    return choice._replace(with_defaults=False) if (tool, name) == ("poetry", "export") else choice
