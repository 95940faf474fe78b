"""What an install command asks a lock for: extras, dependency groups, members of a workspace. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from buildguard.definitions import NamedTuple
from buildguard.project.package_names import normalize

# Options of uv, poetry and pip that take the next word.
WITH_VALUE = frozenset(
    {
        *("-r", "--requirement", "--requirements", "-c", "--constraint", "--constraints", "--build-constraint", "-t"),
        *(
            "-f",
            "--find-links",
            "-i",
            "--index-url",
            "--extra-index-url",
            "--prefix",
            "--root",
            "--cache-dir",
            "--index",
        ),
        *("--trusted-host", "-w", "--wheel-dir", "--extra", "--group", "--only-group", "--no-group", "--only-binary"),
        *("--package", "--with", "--without", "--only", "-E", "--extras"),
        *("--no-binary", "--timeout", "--retries", "--no-install-package", "--progress-bar", "--proxy", "-d", "--dest"),
    }
)


class InstallChoice(NamedTuple):
    """Extras and groups that are asked for beside the default ones, and what is left out.

    `only_groups` leaves out the project's own dependencies, `without` are distributions, `members` the members of a workspace
    that are named (none: the root).
    """

    extras: frozenset[str] = frozenset()
    every_extra: bool = False
    groups: frozenset[str] = frozenset()
    without_groups: frozenset[str] = frozenset()
    with_defaults: bool = True
    every_group: bool = False
    only_groups: bool = False
    without: frozenset[str] = frozenset()
    members: frozenset[str] = frozenset()
    every_member: bool = False

    def wants_group(self, group: str, *, is_default: bool) -> bool:
        """Whether a dependency group is installed."""
        if group in self.without_groups:
            return False
        by_default = is_default and self.with_defaults and not self.only_groups
        return group in self.groups or self.every_group or by_default

    def wanted_extras(self, names: Iterable[str]) -> frozenset[str]:
        """Those of some extras that are asked for."""
        return frozenset(name for name in names if self.every_extra or name in self.extras)


def uv_choice(words: Sequence[str], variables: Mapping[str, str]) -> InstallChoice:
    """What the options of `uv sync` and its like, and the variables of uv, ask for."""
    only_dev = has_option(words, "--only-dev")
    leaves_dev = has_option(words, "--no-dev") or _is_set(variables, "UV_NO_DEV")
    left_out = [*option_values(words, "--no-group"), *(["dev"] if leaves_dev else [])]
    asked = [
        *option_values(words, "--group", "--only-group"),
        *(["dev"] if has_option(words, "--dev", "--only-dev") else []),
    ]
    return InstallChoice(
        extras=_names(option_values(words, "--extra")),
        every_extra=has_option(words, "--all-extras"),
        groups=_names(asked),
        without_groups=_names(left_out),
        with_defaults=not (has_option(words, "--no-default-groups") or _is_set(variables, "UV_NO_DEFAULT_GROUPS")),
        every_group=has_option(words, "--all-groups"),
        only_groups=only_dev or has_option(words, "--only-group"),
        without=_names(option_values(words, "--no-install-package")),
        members=_names(option_values(words, "--package")),
        every_member=has_option(words, "--all-packages"),
    )


def poetry_choice(words: Sequence[str]) -> InstallChoice:
    """What the options of `poetry install` ask for; `--no-dev` is the older name of `--only main`."""
    only = _listed(option_values(words, "--only")) | ({"main"} if has_option(words, "--no-dev") else set())
    is_nothing = has_option(words, "--only-root")
    asked = _listed(option_values(words, "--with")) | ({"dev"} if has_option(words, "--dev") else set())
    groups = only or asked  # --only ignores --with and --without
    return InstallChoice(
        extras=_listed(option_values(words, "-E", "--extras")),
        every_extra=has_option(words, "--all-extras"),
        groups=frozenset() if is_nothing else groups,
        without_groups=frozenset() if only else _listed(option_values(words, "--without")),
        every_group=has_option(words, "--all-groups"),
        only_groups=bool(only) or is_nothing,
    )


def option_values(words: Sequence[str], *flags: str) -> list[str]:
    """The values of an option among the words of a command, under any of its names."""
    return [value for flag, value in _options(words) if flag in flags]


def has_option(words: Sequence[str], *flags: str) -> bool:
    """Whether an option is set."""
    return any(flag in flags for flag, _value in _options(words))


def _is_set(variables: Mapping[str, str], name: str) -> bool:
    return variables.get(name, "").lower() not in {"", "0", "false"}


def _names(values: Iterable[str]) -> frozenset[str]:
    return frozenset(map(normalize, values))


def _listed(values: Iterable[str]) -> frozenset[str]:
    """Names in lists that commas or spaces separate."""
    return _names(name for value in values for name in re.split(r"[\s,]+", value) if name)


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    for at, word in enumerate(words):
        if word.startswith("-"):
            flag, equals, value = word.partition("=")
            if not equals and flag[:2] == "-r" and len(flag) > 2 and not flag.startswith("--"):  # noqa: PLR2004  -rFILE
                yield "-r", flag[2:]
            else:
                yield flag, value if equals else words[at + 1] if flag in WITH_VALUE and at + 1 < len(words) else ""
