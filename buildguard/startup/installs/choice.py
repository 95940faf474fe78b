"""What an install command asks a lock for: extras, dependency groups, members of a workspace. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from buildguard.definitions import NamedTuple


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
