"""YAML with positions, as plain values: mappings, lists and the text of scalars. YAML 1.1, which Google's tools read."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from buildguard.definitions import TYPE_CHECKING, NamedTuple
from buildguard.errors import UsageError

if TYPE_CHECKING:
    from typing import Any

_MOST_VALUES, _DEEPEST = 20_000, 60
_MOST_TOKENS = 8 * _MOST_VALUES  # of a value in a list of lists, say, with all that marks it
_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"


class YamlPosition(NamedTuple):
    """Where something stands: line and column from 1, and its offsets in the text, the end exclusive."""

    line: int
    column: int
    start: int
    end: int


class RepeatedKey(NamedTuple):
    """A key that stands twice in one mapping: its name, and where it stands the first time and again."""

    key: str
    first: YamlPosition
    place: YamlPosition


class Node(NamedTuple):
    """A value and the line (from 1) that it starts on.

    `kind` is YAML's: str, int, float, bool, null, timestamp …, map, seq; scalars keep their text whatever they are.
    `keys` are where the keys of a mapping stand, `repeated` those that stand there more than once. `flow` is the style with
    brackets; `alias` says that the value is written elsewhere.
    """

    value: str | tuple[Node, ...] | Mapping[str, Node]
    line: int
    kind: str = "str"
    place: YamlPosition = YamlPosition(1, 1, 0, 0)
    keys: Mapping[str, YamlPosition] = MappingProxyType({})
    repeated: tuple[RepeatedKey, ...] = ()
    flow: bool = False
    alias: bool = False

    def text(self) -> str:
        """The scalar's text, empty where this is none."""
        return self.value if isinstance(self.value, str) else ""

    def items(self) -> Sequence[Node]:
        """The elements of a list; a scalar counts as a list of one, and so does a mapping."""
        if isinstance(self.value, tuple):
            return self.value
        return [] if self.kind == "null" else [self]

    def get(self, *keys: str) -> Node | None:
        """The value below a chain of keys."""
        node: Node | None = self
        for key in keys:
            node = node.value.get(key) if node is not None and isinstance(node.value, Mapping) else None
        return node

    def pairs(self) -> Iterator[tuple[str, Node]]:
        """The keys and values of a mapping."""
        yield from self.value.items() if isinstance(self.value, Mapping) else ()


class InvalidYamlError(UsageError):
    """Text that is no YAML, with the place where that shows."""

    def __init__(self, file: str, problem: str, line: int | None, column: int | None) -> None:
        where = file if line is None else f"{file}:{line}"
        super().__init__(f"{where} is not valid YAML: {problem}")
        self.problem, self.line, self.column = problem, line, column


@functools.lru_cache(maxsize=8)
def read(data: bytes, file: str) -> Node:
    """Parse YAML (or JSON, which is YAML); raises InvalidYamlError, a UsageError, with file and line."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        parser = YAML(typ="rt", pure=True)
        parser.Scanner = _scanner()
        parser.version = (1, 1)
        return _NodeCopier().plain(parser.compose(data.decode("utf-8")))
    except UnicodeDecodeError as error:
        raise InvalidYamlError(file, "it is not UTF-8", data[: error.start].count(b"\n") + 1, None) from error
    except (YAMLError, RecursionError) as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        context, began = str(getattr(error, "context", None)), getattr(error, "context_mark", None)
        if problem == "but found another document":
            problem = "there is a second document in it"
        elif began is not None and ("flow" in context or "end" in str(problem)):
            mark, problem = began, f"{context}: {problem}"  # where a bracket or a quote was opened
        problem = problem or str(error) or "nested too deeply"
        place = (None, None) if mark is None else (mark.line + 1, mark.column + 1)
        raise InvalidYamlError(file, problem, *place) from error


@functools.cache
def _scanner() -> type:
    """A scanner that ends where nothing sensible goes on: it would take a time that grows with the square of the depth."""
    from ruamel.yaml.scanner import RoundTripScanner

    class Scanner(RoundTripScanner):
        def fetch_more_tokens(self) -> Any:
            if self.flow_level > _DEEPEST:
                raise RecursionError(f"nested more than {_DEEPEST} deep")
            if self.tokens_taken > _MOST_TOKENS:
                raise RecursionError(f"more than {_MOST_VALUES:,} values")
            return super().fetch_more_tokens()

    return Scanner


class _NodeCopier:
    """Copying composed nodes; the budget ends what aliases would blow up."""

    def __init__(self) -> None:
        self._budget = _MOST_VALUES
        self._depth = 0
        self._seen: set[int] = set()

    def plain(self, node: Any) -> Node:
        self._budget -= 1
        if self._budget < 0:
            raise RecursionError(f"more than {_MOST_VALUES:,} values")
        if node is None:
            return Node("", 1, "null")
        alias = id(node) in self._seen
        self._seen.add(id(node))
        place = _place(node)
        if node.id in {"mapping", "sequence"}:
            self._depth += 1
            if self._depth > _DEEPEST:
                raise RecursionError(f"nested more than {_DEEPEST} deep")
            copied = (
                self._mapping(node, place, alias=alias)
                if node.id == "mapping"
                else self._list(node, place, alias=alias)
            )
            self._depth -= 1
            return copied
        kind = str(node.tag).removeprefix(_TAG)
        # where lines of a folded text were joined, ruamel.yaml leaves a bell, which no text may contain
        text = str(node.value).replace("\a", "") if node.style == ">" else str(node.value)
        return Node(_joined(text), place.line, kind, place, alias=alias)

    def _list(self, node: Any, place: YamlPosition, *, alias: bool) -> Node:
        items = tuple(self.plain(value) for value in node.value)
        return Node(items, place.line, "seq", place, flow=bool(node.flow_style), alias=alias)

    def _mapping(self, node: Any, place: YamlPosition, *, alias: bool) -> Node:
        fields: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        keys: dict[str, YamlPosition] = {}
        repeated: list[RepeatedKey] = []
        for key, value in node.value:
            name = _joined(key.value) if isinstance(key.value, str) else ""
            if str(key.tag) == _MERGE:
                for source in _merge_sources(value):
                    merged = {**dict(self.plain(source).pairs()), **merged}
                continue
            if name in fields:
                repeated.append(RepeatedKey(name, keys[name], _place(key)))
            fields[name], keys[name] = self.plain(value), _place(key)
        values = MappingProxyType({**merged, **fields})
        return Node(values, place.line, "map", place, keys, tuple(repeated), bool(node.flow_style), alias)


def _joined(text: str) -> str:
    """A text in which JSON may write one character as two surrogates; a single one is no character, as in Go."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _merge_sources(value: Any) -> list[Any]:
    """The mappings behind `<<`; raises YAML's own error where there are none, as every loader does."""
    from ruamel.yaml.constructor import ConstructorError

    sources = value.value if value.id == "sequence" else [value]
    for source in sources:
        if source.id != "mapping":
            raise ConstructorError(
                problem="'<<' wants a mapping, or a list of mappings", problem_mark=source.start_mark
            )
    return list(sources)


def _place(node: Any) -> YamlPosition:
    mark = node.start_mark
    return YamlPosition(mark.line + 1, mark.column + 1, mark.index, node.end_mark.index)
