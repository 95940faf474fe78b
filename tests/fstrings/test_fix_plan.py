"""How f-strings are rewritten: the smallest change, the right place, and what is left alone."""

from __future__ import annotations

import csv
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildguard.fstrings.fix_plan import plan_rewrite
from buildguard.fstrings.planner_process import FixRequest, job_count, plan_fixes
from buildguard.project.source_text import decode_source, encode_source
from buildguard.remote import program as program_text
from buildguard.system import process
from tests.conftest import CASES, interpreter, sample_on_other_hosts
from tests.oracle import doubt, refusals
from tests.wasm import RELEASES, ask_wasm

if TYPE_CHECKING:
    from collections.abc import Sequence

_FIXED = {
    # other quotes inside
    's = f"{d["k"]}"\n': "s = f\"{d['k']}\"\n",
    "s = f'{d['k']}{d['l']}'\n": 's = f\'{d["k"]}{d["l"]}\'\n',
    's = rf"\\d{d["k"]}"\n': "s = rf\"\\d{d['k']}\"\n",
    's = f"{f"{d["k"]}"}"\n': "s = f\"{f'''{d['k']}'''}\"\n",
    's = f"{b"x"}{u"y"!r}"\n': "s = f\"{b'x'}{u'y'!r}\"\n",
    "s = f\"{'it\\'s'}\"\n": "s = f\"{'''it's'''}\"\n",
    # three quotes for one, inside or outside
    's = f"{d["it\'s"]}"\n': "s = f\"{d['''it's''']}\"\n",
    's = f"{d["a"]}{f"""{d["b"]}{d[\'c\']}{e["it\'s"]}"""}"\n': None,
    # a constant field, a nested f-string
    "s = f\"{'\\n'}{x}\"\n": 's = f"\\n{x}"\n',
    "s = f\"{'''a\nb'''}\"\n": 's = f"a\\nb"\n',
    "s = f\"{'{\\t}'}\"\n": 's = f"{{\\t}}"\n',
    's = f"""{f"""{f"""{f"""{f"""{x}"""}"""}"""}"""}"""\n': None,
    # the words of `=`
    's = f"{d["k"]=}"\n': 's = f"d[\\"k\\"]={d[\'k\']!r}"\n',
    's = f"{d["k"] = :>5}"\n': 's = f"d[\\"k\\"] = {d[\'k\']:>5}"\n',
    's = f"{d["k"]=!s}"\n': 's = f"d[\\"k\\"]={d[\'k\']!s}"\n',
    's = f"{x=\n}"\n': 's = f"x=\\n{x!r}"\n',
    # format specs and conversions
    's = f"{x:{w:{y}}}"\n': "s = f\"{x:{f'{w:{y}}'}}\"\n",
    's = f"{x!r :>{w!s }}"\n': 's = f"{x!r:>{w!s}}"\n',
    # lines and comments
    's = f"{\n    x\n}"\n': 's = f"{x}"\n',
    's = f"{max(\n    x,\n    w)}"\n': 's = f"{max(x, w)}"\n',
    's = f"{\n    {1: 2}[1]\n}"\n': 's = f"{ {1: 2}[1]}"\n',
    's = f"{x \\\n + y}"\n': 's = f"{x + y}"\n',
    "s = f'''{\n    x  # why\n    + 1\n}'''\n": "# why\ns = f'''{\n    x\n    + 1\n}'''\n",
    "s = f'''{\n    # first\n    x  # second\n}'''\n": "# first\n# second\ns = f'''{\n    x\n}'''\n",
    's = f"{\n' + "".join(f"  {n} +\n" for n in range(9)) + ' 0}"\n': 's = f"""{\n'
    + "".join(f"  {n} +\n" for n in range(9))
    + ' 0}"""\n',
    's = f"{d["\x01"]}{\n x}"\n': "s = f\"{d['\x01']}{x}\"\n",
    # constants bound to a name
    "s = f\"{'\\n'.join(x)}\"\n": "_newline = '\\n'\ns = f\"{_newline.join(x)}\"\n",
    "s = f\"{'\\n, '.join(x)}\"\n": "_separator = '\\n, '\ns = f\"{_separator.join(x)}\"\n",
    "s = f\"{re.sub(r'\\s+', '_', x)}\"\n": "_text = r'\\s+'\ns = f\"{re.sub(_text, '_', x)}\"\n",
    "s = f\"{'\\t'if x else'\\n'}\"\n": "_tab = '\\t'\n_newline = '\\n'\ns = f\"{_tab if x else _newline}\"\n",
    "s = f\"{g('a\\n' 'b')}\"\n": "_text = 'a\\n' 'b'\ns = f\"{g(_text)}\"\n",
    "s = f\"{f'a\\n{x}':>9}\"\n": '_text = "a\\n"\ns = f"{f\'{_text}{x}\':>9}"\n',
    "_newline = 1\ns = f\"{'\\n'.join(x)}\"\n": "_newline = 1\n_newline_2 = '\\n'\ns = f\"{_newline_2.join(x)}\"\n",
    # what reads otherwise once something moves beside it
    "s = f'{''\"a\"f'{x!r }'}'\n": None,
    "s = f'{g(''\"a\"f'{x}')}'\n": 's = f\'{g("" "a" f"{x}")}\'\n',
    "s = f'\\{'\\t'}'\n": "s = f'\\\\\\t'\n",
    "s = f'\\1{'2\\t'}'\n": "_text = '2\\t'\ns = f'\\1{_text}'\n",
    "s = f\"{f'\\{x}'}\"\n": 's = f"\\\\{x}"\n',
    "s = f\"{f'\\{x}':>9}\"\n": '_backslash = "\\\\"\ns = f"{f\'{_backslash}{x}\':>9}"\n',
    "a = f\"{'\\n'.join(x)}\"; b = f\"{'\\n'.join(y)}\"\n": (
        '_newline = \'\\n\'\na = f"{_newline.join(x)}"; b = f"{_newline.join(y)}"\n'
    ),
}
_J = "f\"{'\\n'.join(x)}\""
_K = 'f"{_newline.join(x)}"'
_BOUND = "_newline = '\\n'\n"
# Where the name is bound: `{}` is the f-string, `→` the place.
_PLACES = [
    "def f():\n    →s = {}\n",
    "def f():\n\t→return {}\n",
    "if a:\n    pass\nelse:\n    →s = {}\n",
    "→if a:\n    pass\nelif {}:\n    pass\nelse:\n    pass\n",
    "def f():\n    →if a:\n        pass\n    elif b:\n        pass\n    elif {}:\n        pass\n",
    "→while {}:\n    pass\n",
    "→for c in {}:\n    pass\nelse:\n    pass\n",
    "→try:\n    pass\nexcept E: s = {}\nfinally:\n    pass\n",
    "→with open({}) as o:\n    pass\n",
    "→if a: s = {}\n",
    "→if a: pass\nelse: s = {}\n",
    "→a = 1; s = {}; b = 2\n",
    "→match {}:\n    case 1:\n        pass\n",
    "→match a:\n    case 0:\n        pass\n    case b if {}:\n        pass\n",
    "match = 1\nmatch\n→case = {}\n",
    "→@deco({})\n@other\ndef f():\n    pass\n",
    "→@other\n@deco(\n  {}\n)\nclass C:\n    pass\n",
    "→def f(a={}): return a\n",
    "→@other\ndef f(a={}):\n    return a\n",
    "→class C:\n    s = {}\n",
    "→class C:\n    def m(self, a={}):\n        return a\n",
    "class C:\n    def m(self):\n        →return {}\n",
    "→@deco\nclass C:\n    class D:\n        if a:\n            s = {}\n",
    "def f():\n    →class C:\n        s = {}\n    return C\n",
    "async def f():\n    async with a:\n        →return {}\n",
    "class C:\n    async def m(self):\n        →return {}\n",
    "→s = lambda: {}\n",
    "→s = [\n    {}\n    for y in z\n]\n",
    "# about s\n→s = {}  # noqa\n",
    "#!/usr/bin/env python\n# coding: utf-8\n→s = {}\n",
    '"""Doc."""\nfrom __future__ import annotations\n→s = {}\n',
    "def f():\n    '''Doc.'''\n    →return {}\n",
    "s = '''\n'''\nif a:\n\n    # why\n    →t = (1,\n{})\n",
    "x = 1 + \\\n  2\n→s = {}\n",
    "def f():\n  →\\\n    return {}\n",
]
_PRINTED = "Python versions print the text of a `=` field differently if it contains a backslash, # or !="
_LEFT = [
    ("s = f'{d['\\n#']=}'\n", _PRINTED),
    ("s = f\"{'\\n'.join(a)=}\"\n", _PRINTED),
    ('s = f"{"\\n".join(a)=}"\n', _PRINTED),
    ('s = f"{"\\n".join(a) = !s:>9}"\n', _PRINTED),
    ('s = rf"{"\\n".join(a)=}"\n', _PRINTED),
    ("s = f'''{d['\\'']=}'''\n", _PRINTED),
    ("s = f'{d[\"\\N{DIGIT ONE}\"]=}'\n", _PRINTED),
    ("s = f'{x \\\n + 1=}'\n", _PRINTED),
    ("s = f'''{x \\\n + 1=}'''\n", _PRINTED),
    ("s = f'{g(f\"{d['\\n']}\")=}'\n", _PRINTED),
    ("s = f'{g(f\"{d['\\n']=}\")}'\n", _PRINTED),
    ("s = f'{f\"{x # why\n}\"=}'\n", _PRINTED),  # 3.13.2 and later print the comment of a nested one
    ("s = f'{x # why\\n\n + f\"\\t\"=}'\n", _PRINTED),
    ("s = f\"{'''it's''' # why\n=}\"\n", "which comments belong to the text"),
    ("s = f\"{x:{w}{d['\\n']=}}\"\n", "Pythons do not agree"),
    ("s = f\"{x:{w}{{1: '\\n'}[1]}}\"\n", "Pythons do not agree"),
    ("s = f\"{'\\n'!=d=}\"\n", _PRINTED),
    ("s = f'{x!r :{w}a{{}'\n", "doubled braces"),
    ("s = f'{a:{b:{c:\\n}}}'\n", "there is no other way to write it"),
    ("s = f\"{rf'{x:\\x3e}'!r}\"\n", "Pythons do not agree"),
    ('s = f"{g(f\'{g(f"{g(f\'{g(f"{g(x)!r}")}\')}")}\')}"\n', "every kind of quotes"),
    ('s = f"{' + 'f"{' * 200 + "1" + '}"' * 200 + '}"\n', "deeper than any Python takes"),
]


@pytest.mark.interpreters
@pytest.mark.parametrize("before", [one for one, after in _FIXED.items() if after])
def test_the_smallest_rewrite(before: str) -> None:
    made = plan_rewrite(before, 11)

    assert made.after == _FIXED[before]
    _is_right(before, made.after, made.lifted)


@pytest.mark.interpreters
@pytest.mark.parametrize("frame", _PLACES)
def test_where_a_constant_is_bound(frame: str) -> None:
    before = frame.replace("→", "").replace("{}", _J)
    line = frame[: frame.index("→")].rpartition("\n")[2]

    made = plan_rewrite(before, 11)

    assert made.after == frame.replace("→", _BOUND + line).replace("{}", _K)
    assert made.lifted == ("_newline",)
    if "match " not in frame:
        assert refusals("3.8", [made.after]) == [""]
    assert refusals("3.11", [made.after]) == [""]
    assert doubt("3.13", before, made.after, made.lifted) == ""


@pytest.mark.interpreters
@pytest.mark.parametrize("version", RELEASES)
def test_newer_pythons_in_webassembly_agree(version: str, tmp_path: Path) -> None:
    """Each rewrite means the same to the real 3.14 and 3.15."""
    plans = [(before, plan_rewrite(before, 11)) for before, after in _FIXED.items() if after]
    program = program_text("ast_compare.py").read_text("utf-8").partition('if __name__ == "__main__"')[0]
    last = "\njson.dumps([doubt(before, after, set(names)) for before, after, names in json.loads(ASKED)])\n"

    doubts = ask_wasm(version, program + last, [(before, plan.after, plan.lifted) for before, plan in plans], tmp_path)

    assert [(before, reason) for (before, _plan), reason in zip(plans, doubts, strict=True) if reason] == []


@pytest.mark.parametrize(("source", "reason"), _LEFT)
def test_what_is_left_says_why(source: str, reason: str) -> None:
    made = plan_rewrite(source, 11)

    assert made.after == source
    assert reason in made.fixes[0].reason


_AROUND = "d = {'k': 1, 'it': 2}\nx = 3\na = ['p', 'q']\n"
_SHOWN = [
    's = f"{d["k"]=}"\n',
    's = f"{ d["k"] = }"\n',
    's = f"{d["k"]=!s:>5}{d["it"]=:<5}|"\n',
    's = rf"{d["k"]=}"\n',
    's = f"{x=\n}"\n',
    's = f"{x # why\n  + 1 # and\n = }"\n',
    's = f"{f"{d["k"]=}"}"\n',
    's = f"{f"{d["k"]=}"=}"\n',
    "s = f'{x=}{d['k']=}{f\"{x=}\" = }'\n",
    "s = f'{x=}{\"\\n\".join(a)}'\n",
    's = f\'{x=}{"{" "}" "\\t"}{f"{x=!s }"}\'\n',
    's = f"{"\\n".join(a)=}"\n',
    "s = f'''{d[\n'k' # why\n]=}'''\n",
    "s = f'{d['k']!=x=}'\n",  # other quotes around it all: the text stays as it is
]


@pytest.mark.parametrize("version", ["3.12", "3.13"])
@pytest.mark.parametrize("source", sample_on_other_hosts(_SHOWN, 3))
def test_a_repair_prints_what_the_source_prints(source: str, version: str) -> None:
    before = _AROUND + source
    printed, printed_after = _shown(version, [before.encode(), plan_rewrite(before, 11).after.encode()])

    assert printed.startswith(b"[")
    assert printed_after == printed


@pytest.mark.one_host
@pytest.mark.interpreters
def test_deep_reuse_is_merged_into_one() -> None:
    source = "s = " + 'f"{' * 140 + "x" + '}"' * 140 + "\n"

    (made,) = plan_fixes([FixRequest(source, 11)])

    assert len(made.after) < 40
    _is_right(source, made.after, made.names)


@pytest.mark.parametrize(
    ("sources", "characters", "children"),
    [(1, 9, 1), (8, 9, 1), (9, 9, 2), (99, 9, 4), (1, 1_000_000, 1), (2, 100_000, 2), (3, 20_000, 1)],
)
def test_a_second_child_has_enough_to_do(
    monkeypatch: pytest.MonkeyPatch, sources: int, characters: int, children: int
) -> None:
    monkeypatch.setattr(process, "cores", lambda: 4)

    assert job_count([FixRequest("x" * characters, 11)] * sources) == children


@pytest.mark.parametrize("newline", ["\r\n", "\n"])
def test_nothing_else_changes(newline: str) -> None:
    before = f"\ta = 1 {newline}s = f'{{d['k']}}'  # é\t{newline}{newline}\x0c{newline}b=2"

    assert plan_rewrite(before, 11).after == before.replace("d['k']", 'd["k"]')


def test_new_lines_end_as_the_others_do() -> None:
    assert plan_rewrite(f"a = 1\r\ns = {_J}\r\n", 11).after == f"a = 1\r\n_newline = '\\n'\r\ns = {_K}\r\n"


def test_one_left_does_not_keep_others_from_being_fixed() -> None:
    before = "s = f'{d['\\n#']=}'\nt = f'{d['k']}'\n"

    made = plan_rewrite(before, 11)

    assert made.after == before.replace("d['k']", 'd["k"]')
    assert [bool(fix.reason) for fix in made.fixes] == [True, False]


@pytest.mark.interpreters
@pytest.mark.parametrize(
    ("before", "after", "names", "words"),
    [
        ("s = f'{a}'\n", "s = f'{b}'\n", [], "differ"),
        ("s = f'{a}'\n", "s = f'{a!s}'\n", [], "differ"),
        ("s = f'{1}'\n", "s = f'1'\n", [], "differ"),
        ("s = f'{a}'\nb\n", "s = f'{a}'\n", [], "differ"),
        ("s = 'a'\n", "_n = 'a'\ns = _n\nt = _m\n", ["_n", "_m"], "not bound"),
        ("s = 'a'\n", "s = _n\n_n = 'a'\n", ["_n"], "not bound"),
        ("s = 'a'\n", "if s:\n    _n = 'a'\ns = _n\n", ["_n"], "not bound"),
        ("s = 'a'\n_n = 2\n", "_n = 'a'\ns = _n\n_n = 2\n", ["_n"], "taken"),
        ("s = 'a'\nimport _n\n", "_n = 'a'\ns = _n\nimport _n\n", ["_n"], "taken"),
        ("class C:\n s = 'a'\n", "class C:\n _n = 'a'\n s = _n\n", ["_n"], "attribute of the class C"),
        ("class C:\n if a:\n  s = 'a'\n", "class C:\n if a:\n  _n = 'a'\n  s = _n\n", ["_n"], "attribute"),
        (
            "def f():\n s = 'a'\n return locals()\n",
            "def f():\n _n = 'a'\n s = _n\n return locals()\n",
            ["_n"],
            "locals",
        ),
        ("s = 'a'\nd = dir()\n", "_n = 'a'\ns = _n\nd = dir()\n", ["_n"], "locals, vars, dir"),
        ("s = 'a'\ndef f(): return globals()\n", "_n = 'a'\ns = _n\ndef f(): return globals()\n", ["_n"], "globals"),
        ("def f():\n s = 'a'\n exec(s)\n", "def f():\n _n = 'a'\n s = _n\n exec(s)\n", ["_n"], "exec"),
        (
            "from __future__ import annotations\na: f'{'x'}{b}'\n",
            "from __future__ import annotations\na: f'x{b}'\n",
            [],
            "annotation",
        ),
        ("s = (\n", "s = 1\n", [], "rejects the file as it is"),
        ("s = 1\n", "s = (\n", [], "rejects the file after the fix"),
    ],
)
def test_the_proof_refuses(before: str, after: str, names: list[str], words: str) -> None:
    assert words in doubt("3.13", before, after, names)
    assert words in doubt("3.12", before, after, names)


@pytest.mark.interpreters
@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        ("def f():\n s = 'a'\n return s.dir()\n", "def f():\n _n = 'a'\n s = _n\n return s.dir()\n", ["_n"]),
        ("s = 'a'\nvars(s)\n", "_n = 'a'\ns = _n\nvars(s)\n", ["_n"]),
        ("a: f'{'x'}'\n", "a: f'x'\n", []),
        ("s = f'{f'{a}b'}'\n", "s = f'{a}b'\n", []),
        ("s = f'{(f\"{x:\\N{DIGIT ONE}=}\")!r }'\n", "_t = '1='\ns = f'{(f\"{x:{_t}}\")!r}'\n", ["_t"]),
    ],
)
def test_the_proof_accepts(before: str, after: str, names: list[str]) -> None:
    assert doubt("3.13", before, after, names) == ""


# ------------------------------------------------------------------------------------------ the syntax cases

# Each source runs in a child of one interpreter, which has imported what they need, and prints into a pipe.
_SHOW = """
import asyncio, os, resource, sys

def show(source):
    try:
        names = {}
        exec(compile(source, "case", "exec"), names)
        shown = sorted((k, repr(v).split(" at 0x")[0]) for k, v in names.items() if k != "__builtins__" and k[0] != "_")
        sys.stdout.buffer.write(repr([shown, names.get("__annotations__")]).encode("utf-8"))
    except Exception as error:
        print(type(error).__name__, error)
    sys.stdout.flush()

def limited(source):
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.dup2(writer, 1)
            resource.setrlimit(resource.RLIMIT_CPU, (5, 5))
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
            show(source)
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with open(reader, "rb") as file:
        printed = file.read()
    if os.waitpid(child, 0)[1]:
        sys.exit("a source ended its process: %r" % source)
    return printed

printed = [limited(bytes.fromhex(line.strip())) for line in sys.stdin]
print(*[one.hex() for one in printed], sep="\\n")
"""
_NOT_FIXED = {"109_fstring_nested_160.py"}  # no Python takes it


@pytest.mark.interpreters
def test_every_fixable_case_runs_the_same() -> None:
    with (CASES / "syntax.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    files, sources, fixed = [], [], []
    for row in rows:
        if row["3.11"] == "ok" or "f-string" not in row["3.11"] + row["file"].replace("fstring", "f-string"):
            continue
        data = (CASES / "syntax" / row["file"]).read_bytes()
        source = decode_source(data)
        if source is None or not plan_rewrite(source, 11).fixes or row["file"] in _NOT_FIXED:
            assert row["3.12"] != "ok" or row["file"] in _NOT_FIXED, row["file"]
            continue
        after = encode_source(plan_rewrite(source, 11).after, data)
        assert after is not None

        files.append(row["file"])
        sources.append(data)
        fixed.append(after)
    assert len(files) > 30

    old = _shown("3.8", fixed)

    assert not [file for file, printed in zip(files, old, strict=True) if b"SyntaxError" in printed]
    assert dict(zip(files, old, strict=True)) == dict(zip(files, _shown("3.12", sources), strict=True))
    newest = _shown("3.13", [*fixed, *sources])
    assert dict(zip(files, newest, strict=False)) == dict(zip(files, newest[len(files) :], strict=True))


def _shown(version: str, sources: Sequence[bytes]) -> list[bytes]:
    """What each source leaves behind, run under limits in an empty folder without an environment."""
    done = subprocess.run(
        [interpreter(version), "-I", "-S", "-B", "-c", _SHOW],
        input="".join(f"{source.hex()}\n" for source in sources).encode(),
        capture_output=True,
        cwd="/",
        env={"LC_ALL": "C", "PYTHONHASHSEED": "0"},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, os.fsdecode(done.stderr)
    shown = [bytes.fromhex(line) for line in done.stdout.decode().splitlines()]
    assert len(shown) == len(sources)
    return shown


def _is_right(before: str, after: str, names: tuple[str, ...]) -> None:
    for version in ("3.8", "3.11", "3.12", "3.13"):
        assert refusals(version, [after]) == [""]
    assert doubt("3.13", before, after, names) == ""
    assert plan_rewrite(after, 11).fixes == ()
