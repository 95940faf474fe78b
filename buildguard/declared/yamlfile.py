"""YAML with line numbers, as plain values: mappings, lists and the text of scalars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from buildguard.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Node(NamedTuple):
    """A value and the line (from 1) that it starts on."""

    value: str | list[Node] | dict[str, Node]
    line: int

    def text(self) -> str:
        """The scalar's text, empty where this is none."""
        return self.value if isinstance(self.value, str) else ""

    def items(self) -> list[Node]:
        """The elements of a list; a scalar counts as a list of one."""
        if isinstance(self.value, list):
            return self.value
        return [self] if isinstance(self.value, str) else []

    def get(self, *keys: str) -> Node | None:
        """The value below a chain of keys."""
        node: Node | None = self
        for key in keys:
            node = node.value.get(key) if node is not None and isinstance(node.value, dict) else None
        return node

    def pairs(self) -> Iterator[tuple[str, Node]]:
        """The keys and values of a mapping."""
        yield from self.value.items() if isinstance(self.value, dict) else ()


def read(data: bytes, file: str) -> Node:
    """Parse YAML (or JSON, which is YAML); raises UsageError with file and line."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        root = YAML(typ="rt", pure=True).compose(data.decode("utf-8"))
        return _plain(root, [20_000])
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8") from error
    except (YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = file if mark is None else f"{file}:{mark.line + 1}"
        problem = getattr(error, "problem", None) or str(error) or "nested too deeply"
        raise UsageError(f"{place} is not valid YAML: {problem}") from error


def _plain(node: Any, budget: list[int]) -> Node:
    """Copy a composed node; the budget ends what aliases would blow up."""
    budget[0] -= 1
    if budget[0] < 0:
        raise RecursionError("more than 20,000 values")
    if node is None:
        return Node("", 1)
    line = node.start_mark.line + 1
    if node.id == "mapping":
        return Node({key.value: _plain(value, budget) for key, value in node.value if isinstance(key.value, str)}, line)
    if node.id == "sequence":
        return Node([_plain(value, budget) for value in node.value], line)
    return Node(str(node.value), line)
