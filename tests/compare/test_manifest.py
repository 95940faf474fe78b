"""Manifests: the forms they are written in, what tools verify without us, and what is refused on the way back."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from buildguard.errors import UnprovenError
from buildguard.stages import manifest
from buildguard.stages.manifest import Extras, Manifest, ManifestEntry, of_bytes
from tests.conftest import missing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Project

_HOSTILE = {
    "back\\slash": "1",
    "line\nbreak": "2",
    "carriage\rreturn": "3",
    " blank": "4",
    "two  blanks": "5",
    "-": "6",
    "--help": "7",
    "#comment": "8",
    "Zürich/ünï": "9",
    "\x1b[31mred": "10",
    os.fsdecode(b"\xff\xfe"): "11",
    "*": "12",
    "a b/c\td": "13",
    "\\\\x5c": "14",
}
_BUSYBOX_CANNOT = {"back\\slash", "line\nbreak", "carriage\rreturn", "\\\\x5c"}


def test_gnu_verifies_hostile_names_and_busybox_what_it_can(project: Callable[..., Project]) -> None:
    if shutil.which("busybox") is None:
        missing("busybox", "apt-get install busybox-static")
    made = project(_HOSTILE)

    done = subprocess.run([made.executable, "manifest"], cwd=made.path, capture_output=True, check=False)

    assert done.returncode == 1  # the odd names are findings
    sums = made.path.parent / "SHA256SUMS"
    sums.write_bytes(done.stdout)
    gnu = subprocess.run(["sha256sum", "-c", "--strict", sums], cwd=made.path, capture_output=True, check=False)
    assert gnu.returncode == 0, gnu.stderr
    assert gnu.stdout.count(b": OK\n") == len(_HOSTILE)
    lines = done.stdout.splitlines(keepends=True)
    odd = [line for line in lines if line.startswith(b"\\")]
    sums.write_bytes(b"".join(line for line in lines if line not in odd))
    busybox = subprocess.run(["busybox", "sha256sum", "-c", sums], cwd=made.path, capture_output=True, check=False)
    assert busybox.returncode == 0, busybox.stderr
    assert len(odd) == len(_BUSYBOX_CANNOT)
    complaints = done.stderr.decode()
    for name in _BUSYBOX_CANNOT:
        assert any(line.endswith("does not know its escapes") for line in complaints.splitlines()), name


def test_sha256sum_sees_what_was_changed(project: Callable[..., Project]) -> None:
    made = project({"a.py": "x = 1\n", "b.py": "y = 1\n"})
    result = made.run("manifest", "--output", "../SUMS")
    assert (result.code, result.out) == (0, "")
    made.write({"b.py": "y = 2\n"})

    done = subprocess.run(["sha256sum", "-c", "--strict", "../SUMS"], cwd=made.path, capture_output=True, check=False)

    assert done.returncode == 1
    assert b"b.py: FAILED" in done.stdout


@pytest.mark.parametrize("by_shell", [True, False])
def test_the_file_that_is_written_is_no_part_of_it(project: Callable[..., Project], *, by_shell: bool) -> None:
    made = project({"a.py": "x = 1\n", "d/b.py": "y = 1\n"})

    for _ in range(2):  # the second time the file is there before
        if by_shell:
            with (made.path / "SHA256SUMS").open("wb") as out:
                subprocess.run(
                    [made.executable, "manifest"], cwd=made.path, stdout=out, check=True, capture_output=False
                )
        else:
            assert made.run("manifest", "--output", "SHA256SUMS").code == 0

    done = subprocess.run(
        ["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=made.path, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"a.py: OK\nd/b.py: OK\n")


def test_without_odd_names_the_file_is_the_dir_hash_of_go_and_in_toto(repository: Callable[..., Project]) -> None:
    made = repository({"a.py": "x\n", "b/c.py": "y\n"})

    sums = made.run("manifest", "commit:HEAD").out

    lines = [
        f"{hashlib.sha256((made.path / name).read_bytes()).hexdigest()}  {name}\n"
        for name in ("README", "a.py", "b/c.py")
    ]
    assert sums == "".join(lines)


def test_json_has_everything_and_reads_back(repository: Callable[..., Project]) -> None:
    made = repository({"run.sh": "#!/bin/sh\n", "odd\\name\n": "x"})
    (made.path / "run.sh").chmod(0o755)
    (made.path / "link").symlink_to("run.sh")
    (made.path / os.fsdecode(b"\xff.txt")).write_bytes(b"bytes")
    made.commit()

    result = made.run("manifest", "--format", "json")
    found = result.json

    rows = {one["path"]: one for one in found["entries"]}
    assert rows["run.sh"]["mode"] == "100755"
    assert rows["run.sh"]["git_blob"] == made.git("rev-parse", "HEAD:run.sh").strip()
    assert (rows["link"]["type"], rows["link"]["target"]) == ("symlink", "run.sh")
    assert rows["\\xff.txt"]["path_base64"] == "/y50eHQ="
    assert (found["schema"], found["stage"], found["exit_code"], result.code) == (1, "dir:.", 1, 1)
    assert [one["path"] for one in found["findings"]] == ["odd\\name\n"]
    back = manifest.parse(result.out.encode(), "it")
    assert back.digest == found["digest"]
    assert set(back.entries) == {b"README", b"run.sh", b"odd\\name\n", b"link", b"\xff.txt"}


def test_blob_ids_are_git_s(repository: Callable[..., Project]) -> None:
    made = repository({f"d{n}/f{n}.py": f"x = {n}\n" * n for n in range(40)})

    found = made.run("manifest", "commit:HEAD", "--format", "json").json

    rows = [line.split() for line in made.git("ls-tree", "-r", "HEAD").splitlines()]
    assert [(one["mode"], one["git_blob"], one["path"]) for one in found["entries"]] == [
        (mode, oid, path) for mode, _type, oid, path in rows
    ]


def test_the_root_digest_is_injective() -> None:
    def digest(*entries: ManifestEntry) -> str:
        return Manifest(entries).digest

    one, other = of_bytes(b"a", "100644", b"x"), of_bytes(b"b", "100644", b"y")
    line = of_bytes(b"a\n100644 1 " + one.sha256.encode() + b"\tb", "100644", b"x")
    variants = [
        digest(),
        digest(one),
        digest(one, other),
        digest(line),
        digest(one._replace(mode="100755")),
        digest(one._replace(mode="120000")),
        digest(of_bytes(b"b", "100644", b"x"), of_bytes(b"a", "100644", b"y")),
        digest(of_bytes(b"a\tb", "100644", b"x")),
        digest(of_bytes(b"A", "100644", b"x")),
    ]

    assert len(set(variants)) == len(variants)
    assert digest(other, one) == digest(one, other)


def test_a_path_cannot_be_there_twice() -> None:
    with pytest.raises(UnprovenError, match="a is listed twice"):
        Manifest([of_bytes(b"a", "100644", b"x"), of_bytes(b"a", "100644", b"y")])


_DIGEST = "0" * 64


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{_DIGEST}  a\n{_DIGEST}  a\n", "twice"),
        (f"{_DIGEST}  ../a\n", "leads out of the root"),
        (f"{_DIGEST}  /a\n", "absolute"),
        (f"{_DIGEST}  a/./b\n", "plainest form"),
        (f"{_DIGEST}  a//b\n", "plainest form"),
        (f"{_DIGEST} *a\n", "no line of sha256sum"),
        (f"{_DIGEST} a\n", "no line of sha256sum"),
        (f"{_DIGEST[:-1]}  a\n", "no line of sha256sum"),
        (f"{'G' * 64}  a\n", "no line of sha256sum"),
        (f"{_DIGEST.replace('0', 'A')}  a\n", "no line of sha256sum"),
        (f"{_DIGEST}  a", "cut short"),
        (f"\\{_DIGEST}  a\n", "escaped wrongly"),
        (f"{_DIGEST}  a\\b\n", "escaped wrongly"),
        (f"\\{_DIGEST}  a\\x\n", "an escape that is none"),
        (f"\\{_DIGEST}  a\\\n", "an escape that is none"),
        (f"{_DIGEST}  a\n\n", "no line of sha256sum"),
        ("not a manifest\n", "no line of sha256sum"),
        ("{", "is no manifest"),
        ("{}", "is no manifest"),
        ('{"schema": 2}', "schema 2 is not known"),
        ('{"schema": 1, "schema": 1}', "something twice"),
        (f"100644 1 {_DIGEST}\tb\x00100644 1 {_DIGEST}\ta\0", "out of order"),
        (f"100644 1 {_DIGEST}\ta\x00100644 1 {_DIGEST}\ta\0", "out of order, or twice"),
        (f"100644 1 {_DIGEST}\ta\0x", "cut short"),
        (f"100600 1 {_DIGEST}\ta\0", "is no mode"),
        (f"100644 01 {_DIGEST}\ta\0", "size or digest"),
        (f"100644 -1 {_DIGEST}\ta\0", "size or digest"),
        (f"100644 1 {_DIGEST} a\0", "is no row"),
        (f"100644 1 {_DIGEST}\t../a\0", "leads out of the root"),
    ],
)
def test_reading_one_back_is_strict(text: str, words: str) -> None:
    with pytest.raises(UnprovenError, match=words):
        manifest.parse(text.encode(), "it")


def _json() -> dict[str, object]:
    made = Manifest([of_bytes(b"a", "100644", b"x"), of_bytes(b"l", "120000", b"a")])
    return {"schema": 1, "unproven": [], **manifest.to_json(made)}


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found["entries"][0].update(sha256=_DIGEST),
        lambda found: found["entries"][0].update(path="b"),
        lambda found: found["entries"][0].update(mode="100755"),
        lambda found: found["entries"][0].update(type="symlink"),
        lambda found: found["entries"][1].update(target="b"),
        lambda found: found["entries"].pop(),
        lambda found: found["entries"].append(found["entries"][0]),
        lambda found: found.update(unproven=[{"path": "x", "reason": "y"}]),
        lambda found: found.pop("digest"),
    ],
)
def test_a_json_manifest_that_was_touched_is_refused(change: Callable[[dict[str, object]], object]) -> None:
    found = _json()
    manifest.parse(json.dumps(found).encode(), "it")
    change(found)

    with pytest.raises(UnprovenError, match="is no manifest"):
        manifest.parse(json.dumps(found).encode(), "it")


def test_what_cannot_be_read_is_unproven_and_not_left_out(project: Callable[..., Project], tmp_path: Path) -> None:
    made = project({"a.py": "x"})
    program = (
        "import os, sys\nfrom buildguard.stages import hashing\nreal = hashing.os.open\n"
        "def broken(path, *rest):\n"
        "    if path.endswith(b'a.py'): raise PermissionError(13, 'Permission denied')\n"
        "    return real(path, *rest)\n"
        "hashing.os.open = broken\nfrom buildguard.cli.main import main\nsys.argv = ['buildguard', 'manifest']\nmain()"
    )

    done = subprocess.run(
        [made.executable.with_name("python"), "-c", program], cwd=made.path, capture_output=True, check=False
    )

    assert done.returncode == 3
    assert b"unproven: a.py: cannot be read" in done.stderr


def test_an_empty_folder_proves_nothing(project: Callable[..., Project]) -> None:
    made = project()

    result = made.run("manifest")

    assert result.code == 3
    assert "there is nothing in dir:." in result.err


_LONGEST = b"/".join([b"p" * 255] * 16)


def _everything() -> Manifest:
    entries = [
        of_bytes(os.fsencode(name), "100755" if name == "*" else "100644", text.encode())
        for name, text in _HOSTILE.items()
    ]
    entries += [
        of_bytes(b"link", "120000", b"\xff target"),
        of_bytes(b"module", "160000", b"0" * 40),
        of_bytes(_LONGEST, "100644", b""),
    ]
    modes, twins = {b"*": 0o4755, b"-": 0o640}, {b"--help": b"-", b"#comment": b"\xff\xfe"}
    return Manifest(entries, Extras(frozenset({b"empty", b"\xfe"}), {b"pipe": "fifo"}, modes, twins, whole=True))


@pytest.mark.parametrize(("whole", "contents_only"), [(True, False), (False, True)])
def test_json_reads_back_to_what_was_written(whole: bool, contents_only: bool) -> None:
    made = _everything()
    made = Manifest(made.entries.values(), made.extras._replace(whole=whole), contents_only=contents_only)
    written = {"schema": 1, "unproven": [], **manifest.to_json(made)}

    back = manifest.parse(json.dumps(written).encode(), "it")

    assert list(back.entries.values()) == list(made.entries.values())
    assert (back.extras, back.contents_only) == (made.extras, contents_only)
    rows = {one["path"]: one for one in written["entries"]}
    assert (rows["link"]["target"], rows["link"]["target_base64"]) == ("\\xff target", "/yB0YXJnZXQ=")
    assert (rows["*"]["permissions"], rows["-"]["permissions"], rows["*"]["target"]) == ("4755", "0640", None)
    assert [key for key in rows["-"] if "base64" in key] == []


def test_json_that_names_bytes_in_two_ways_is_refused() -> None:
    made = Manifest([of_bytes(b"\xff\xfe", "100644", b"x")])
    written = {"schema": 1, "unproven": [], **manifest.to_json(made)}
    assert written["entries"][0]["path_base64"] == "//4="
    assert manifest.parse(json.dumps(written).encode(), "it").digest == made.digest
    for odd in ("//4", "//4=!", "!//4=", "L3g="):
        written["entries"][0]["path_base64"] = odd
        with pytest.raises(UnprovenError, match="is no manifest"):
            manifest.parse(json.dumps(written).encode(), "it")


def test_rows_read_back_to_what_was_written() -> None:
    made = _everything()

    back = manifest.parse(made.rows(), "it")

    assert [one[:4] for one in back.entries.values()] == [one[:4] for one in made.entries.values()]
    assert (back.digest, back.contents_only) == (made.digest, False)
    longest = Manifest([of_bytes(_LONGEST, "100644", b"")])
    assert manifest.parse(longest.rows(), "it").digest == longest.digest


@pytest.mark.interpreters
def test_sums_read_back_to_what_they_can_tell(tmp_path: Path) -> None:
    made = _everything()
    files = {path: one.sha256 for path, one in made.entries.items() if one.type == "file"}

    back = manifest.parse(made.sums(), "it")

    assert {path: one.sha256 for path, one in back.entries.items()} == files
    assert (back.contents_only, back.unsummed()) == (True, [])
    assert made.unsummed() == [b"link", b"module"]
    assert made.odd() == sorted(os.fsencode(name) for name in _BUSYBOX_CANNOT)
    assert f"{made.entries[b'-'].sha256}  ./-\n".encode() in made.sums()
    for name, text in _HOSTILE.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "SUMS").write_bytes(
        b"".join(line for line in made.sums().splitlines(keepends=True) if b"ppp" not in line)
    )
    gnu = subprocess.run(["sha256sum", "-c", "--strict", "SUMS"], cwd=tmp_path, capture_output=True, check=False)
    assert gnu.returncode == 0, gnu.stderr
    assert gnu.stdout.count(b": OK\n") == len(_HOSTILE)


def test_only_links_and_submodules_have_a_text() -> None:
    assert [of_bytes(b"a", mode, b"x").text for mode in ("100644", "100755", "120000", "160000")] == [
        b"",
        b"",
        b"x",
        b"x",
    ]


@pytest.mark.parametrize(
    ("one", "other", "normal", "folded"),
    [
        ("a", "a", True, True),
        ("a", "A", False, True),
        ("Zu\u0308rich", "Z\xfcrich", True, True),
        ("Zu\u0308rich", "z\xdcrich", False, True),
        ("Zurich", "Z\xfcrich", False, False),
        ("stra\xdfe", "STRASSE", False, True),
    ],
)
def test_names_that_a_disk_does_not_tell_apart(one: str, other: str, normal: bool, folded: bool) -> None:
    assert (manifest.normalize_path(one.encode()) == manifest.normalize_path(other.encode())) == normal
    assert (manifest.fold_path(one.encode()) == manifest.fold_path(other.encode())) == folded
