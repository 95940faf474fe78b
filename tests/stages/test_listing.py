"""What is asked of all entries of a stage at once is what asking each of them would give."""

from __future__ import annotations

import os
import random

import pytest

from buildguard.diagnostic import RelativePath
from buildguard.project.sources import decides_target, deciding
from buildguard.stages.git_objects import IndexListing
from buildguard.stages.stage import Entry, EntryKind, Listing
from buildguard.system.git_paths import columns_of

_NAMES = (
    *(b"a", b"b.py", b"a-b", b"A.py", b"main.py", b"Dockerfile", b"api.dockerfile", b"dockerfile.py", b"Containerfile"),
    *(
        b"pyproject.toml",
        b"mypyproject.toml",
        b"PyProject.toml",
        b"Pipfile",
        b"compose.yaml",
        b"docker-compose.prod.yml",
    ),
    *(b"compose.py", b"skaffold.yaml", b"cloudbuild.yaml", b"my_cloudbuild.py", b".github", b"workflows", b"ci.yml"),
    *(
        b".dockerignore",
        b"api.Dockerfile.dockerignore",
        b"uv.lock",
        b"runtime.txt",
        b"\xff\xfe",
        "\u00e9".encode(),
        b"a b",
    ),
)


def _paths(rng: random.Random) -> list[bytes]:
    paths = {b"/".join(rng.choices(_NAMES, k=rng.randint(1, 3))) for _ in range(60)}
    return sorted({*paths, b".github/workflows/ci.yml"} if rng.random() < 0.5 else paths)


def _listing(rng: random.Random, *, is_sorted: bool) -> Listing:
    paths = _paths(rng)
    if not is_sorted:
        rng.shuffle(paths)
    kinds = list(EntryKind)
    return Listing([Entry(RelativePath(path), rng.choice(kinds)) for path in paths])


@pytest.mark.parametrize("is_sorted", [True, False])
@pytest.mark.parametrize("seed", range(30))
def test_all_at_once_is_each_of_them(seed: int, *, is_sorted: bool) -> None:
    rng = random.Random(seed)
    listing = _listing(rng, is_sorted=is_sorted)
    entries = list(listing)
    some = [*rng.sample(listing.paths, 5), b"missing", b"a", b""]

    assert len(listing) == len(entries)
    assert [listing[0], *listing[1:]] == entries
    assert listing.at(some) == [entry for entry in entries if entry.path in some]
    assert listing.below(some) == [
        entry for entry in entries if entry.path in some or entry.path.startswith(tuple(path + b"/" for path in some))
    ]
    for path in some:
        assert listing.find(path) == next((entry for entry in entries if entry.path == path), None)
        assert listing.find_text(os.fsdecode(path)) == listing.find(path)
    assert listing.sorted_texts == sorted(map(os.fsdecode, listing.paths))
    assert listing.holding([b"dock", b"a.py\0"], [b"compose", b".toml\0"]) == [
        entry
        for entry in entries
        if b"dock" in (folded := entry.path.lower())
        or folded.endswith(b"a.py")
        or (not entry.path.endswith(b".py") and (b"compose" in folded or folded.endswith(b".toml")))
    ]


@pytest.mark.parametrize("seed", range(60))
def test_what_declares_a_target_is_found_by_its_name(seed: int) -> None:
    listing = _listing(random.Random(seed), is_sorted=seed % 2 == 0)

    assert deciding(listing) == [entry for entry in listing if decides_target(entry.path)]


def test_a_path_that_no_machine_has_is_not_listed() -> None:
    assert Listing([]).find_text("\ud800") is None
    assert Listing().texts == []


def test_an_index_makes_an_entry_when_it_is_asked_for() -> None:
    rows = [
        b"100644 %s 0\ta.py" % (b"1" * 40),
        b"100755 %s 0\tb/run" % (b"2" * 40),
        b"120000 %s 0\tlink" % (b"3" * 40),
    ]
    listing = IndexListing(columns_of(b"".join(row + b"\0" for row in rows)))

    assert listing.find(b"b/run") == Entry(RelativePath(b"b/run"), EntryKind.EXECUTABLE, "2" * 40)
    assert listing.unclear == [b"link"]
    assert list(listing) == [listing.entry(number) for number in range(3)]
    assert [entry.kind for entry in listing] == [EntryKind.FILE, EntryKind.EXECUTABLE, EntryKind.LINK]


def test_of_a_path_in_conflict_the_last_row_counts() -> None:
    rows = [b"100644 %s %d\ta.py" % (str(stage).encode() * 40, stage) for stage in (1, 2, 3)]
    rows.append(b"100644 %s 0\tb.py" % (b"9" * 40))
    columns = columns_of(b"".join(row + b"\0" for row in rows))

    assert columns.paths == [b"a.py", b"b.py"]
    assert columns.oids() == ["3" * 40, "9" * 40]
    assert columns.modes() == ["100644", "100644"]
    assert columns.special() == []
    assert (columns_of(b"").paths, columns_of(b"").modes(), columns_of(b"").special()) == ([], [], [])
