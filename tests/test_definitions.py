"""Records and patterns that are cheap to define are what `typing` and `re` make of the same words."""

from __future__ import annotations

import copy
import enum
import importlib
import json
import pickle
import re
import typing
from pathlib import Path
from typing import Any

import pytest

from buildguard import definitions
from buildguard.codes import Code
from tests.conftest import REPOSITORY
from tests.wasm import ask_wasm


class _Place(definitions.NamedTuple):
    """Where."""

    name: str
    line: int = 0
    words: str | None = None

    @property
    def text(self) -> str:
        """The place in one word."""
        return f"{self.name}:{self.line}"

    @classmethod
    def first(cls) -> _Place:
        """The beginning."""
        return cls("a", 1)


class _Typed(typing.NamedTuple):
    """Where."""

    name: str
    line: int = 0
    words: str | None = None


def test_a_record_is_a_named_tuple() -> None:
    place = _Place("a", words="b")

    assert tuple(place) == tuple(_Typed("a", words="b"))
    assert repr(place) == repr(_Typed("a", words="b")).replace("_Typed", "_Place")
    assert place._replace(line=2).text == "a:2"
    assert _Place.first() == _Place._make(["a", 1, None])
    assert (_Place._fields, _Place._field_defaults) == (_Typed._fields, _Typed._field_defaults)
    assert (_Place.__doc__, _Place.__module__, _Place.__qualname__) == (_Typed.__doc__, __name__, "_Place")
    assert pickle.loads(pickle.dumps(place)) == place
    assert typing.get_type_hints(_Place) == typing.get_type_hints(_Typed)
    with pytest.raises(TypeError):
        _Place()  # type: ignore[call-arg]


class _Light(definitions.StrEnum):
    """What it shows."""

    RED = "red"
    GREEN = "green"
    GO = "green"

    @property
    def is_red(self) -> bool:
        """Whether to stop."""
        return self is _Light.RED


class _Usual(enum.StrEnum):
    """What it shows."""

    RED = "red"
    GREEN = "green"
    GO = "green"


def test_a_closed_set_is_one_of_the_library() -> None:
    red = _Light.RED

    assert [*_Light] == [*_Usual] == ["red", "green"]
    assert (len(_Light), [*_Light.__members__]) == (len(_Usual), [*_Usual.__members__])
    assert (str(red), f"{red:>4}", json.dumps([red])) == (str(_Usual.RED), f"{_Usual.RED:>4}", json.dumps([_Usual.RED]))
    assert repr(_Light.GO) == repr(_Usual.GO).replace("_Usual", "_Light")
    assert (red.name, red.value, _Light.GO.name, hash(red)) == ("RED", "red", "GREEN", hash(_Usual.RED))
    assert _Light("red") is _Light["RED"] is pickle.loads(pickle.dumps(red)) is copy.deepcopy(red) is copy.copy(red)
    assert _Light["GO"] is _Light["GREEN"]
    assert red.is_red
    assert not _Light.GO.is_red
    assert red in _Light
    wrong: tuple[Any, ...] = ("blue", None, [])
    for value in wrong:
        with pytest.raises(ValueError, match="is not a valid"):
            _Light(value)
    with pytest.raises(KeyError):
        _Light["BLUE"]


def test_a_member_of_several_values_is_made_by_its_class() -> None:
    assert Code("BG101") is Code.BG101
    assert Code.BG101.summary
    assert [code.value for code in Code] == [*Code.__members__]


def test_a_pattern_is_compiled_when_it_is_used() -> None:
    pattern = definitions.lazy_pattern(r"(?P<letter>[a-z])+", re.IGNORECASE)
    assert set(vars(pattern)) == {"_source"}

    match = pattern.fullmatch("aB")

    assert match is not None
    assert match["letter"] == "B"
    assert pattern.pattern == r"(?P<letter>[a-z])+"
    assert definitions.lazy_pattern(b"x").sub(b"y", b"axb") == b"ayb"
    with pytest.raises(AttributeError):
        _ = pattern.nothing  # type: ignore[attr-defined]


def test_every_pattern_can_be_compiled() -> None:
    package = REPOSITORY / "buildguard"
    files = [file for file in package.rglob("*.py") if "lazy_pattern(" in file.read_text("utf-8")]
    names = [".".join(file.relative_to(REPOSITORY).with_suffix("").parts) for file in files]
    lazy = [
        value
        for name in names
        for value in vars(importlib.import_module(name)).values()
        if isinstance(value, definitions._LazyPattern)
    ]

    assert len(lazy) > 100
    assert all(one.flags >= 0 for one in lazy)


class _Later(_Place):
    """A record that inherits its fields."""


def test_a_record_answers_as_a_named_tuple_before_and_after_the_first_one_is_made() -> None:
    assert isinstance(_Later("a"), _Later)
    assert copy.copy(_Later("a", 2)) == ("a", 2, None)
    assert _Later("a")._asdict() == _Typed("a")._asdict()
    assert _Place.__match_args__ == _Typed.__match_args__ == ("name", "line", "words")
    assert not hasattr(_Place("a"), "__dict__")
    assert tuple(_Place(line=3, name="a")) == tuple(_Typed("a", 3))
    with pytest.raises(TypeError):
        _Place._make(["a"])
    with pytest.raises(ValueError, match="unexpected"):
        _Place("a")._replace(wrong=1)  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        _Place("a").name = "b"  # type: ignore[misc]


def test_what_makes_a_record_is_compiled_after_the_first_few() -> None:
    class Counted(definitions.NamedTuple):
        first: int
        second: int = 2

    before = Counted.__new__
    made = [Counted(1, 2) if number % 2 else Counted(second=2, first=1) for number in range(20)]
    is_late = Counted.__new__ is before

    made.append(Counted(1))

    assert is_late
    assert Counted.__new__ is not before
    assert Counted.__new__.__code__.co_argcount == 3  # the class and its fields: no call stands in between
    assert made == [(1, 2)] * 21


@pytest.mark.parametrize("made", [0, 30])
@pytest.mark.parametrize(
    ("values", "named"), [((), {}), ((1, 2, 3), {}), ((1,), {"other": 2}), ((1,), {"first": 2}), ((), {"second": 2})]
)
def test_a_record_refuses_wrong_values_however_many_were_made(
    made: int, values: tuple[int, ...], named: dict[str, int]
) -> None:
    class Strict(definitions.NamedTuple):
        first: int
        second: int = 2

    for _ in range(made):
        Strict(1)

    with pytest.raises(TypeError):
        Strict(*values, **named)
    assert Strict(1) == (1, 2)


_ASKED_THERE = '''
import json, sys, types
module = types.ModuleType("definitions")
sys.modules["definitions"] = module
exec(compile(json.loads(ASKED), "definitions", "exec"), module.__dict__)
user = {"__name__": "user"}
exec(compile("""from __future__ import annotations
from definitions import NamedTuple
class Row(NamedTuple):
    x: int
    y: str = "b"
    @property
    def z(self): return self.x + 1
""", "user", "exec"), user)
Row = user["Row"]
many = [Row(number).x for number in range(60)]
json.dumps([repr(Row(1)), Row(1).z, Row(x=2, y="c")._replace(y="d")._asdict(), many[-1], Row(1) == (1, "b")])
'''


@pytest.mark.slow
@pytest.mark.interpreters
@pytest.mark.parametrize("version", ["3.14", "3.15"])
def test_a_record_is_one_on_newer_pythons(version: str, tmp_path: Path) -> None:
    """The step of Cloud Build defines them there, and what a class body holds of annotations changed in 3.14."""
    answer = ask_wasm(version, _ASKED_THERE, Path(definitions.__file__).read_text("utf-8"), tmp_path)

    assert answer == ["Row(x=1, y='b')", 2, {"x": 2, "y": "d"}, 59, True]
