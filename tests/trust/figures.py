"""How often the guard was wrong, counted: injected damage, clean chains, mutants, real verdicts, kills, faulty, broken_lines, walks, poison, and the guard broken.

Each figure counts its tries and what was wrong in them. Where nothing was, the rate is below 3 / tries with 95 % confidence
(the rule of three).
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

from buildguard.compare import causes
from buildguard.compare.evidence import EvidenceCollector
from buildguard.compare.name_index import NameIndex
from buildguard.docker import client
from buildguard.errors import UnprovenError
from buildguard.fstrings import fix_plan
from buildguard.stages.archives import reader
from tests import oracle
from tests.compare import chains, chance, damage, mutants, seeded, test_detectors
from tests.compare.test_matrix import PAIRS, chain_of, expected_of, rows_of
from tests.conftest import CASES, VERSIONS, interpreter
from tests.deploy.walks import STEPS
from tests.engines.test_cases import MEASURED
from tests.fstrings import grammar
from tests.system import test_cache
from tests.trust import faults, imports, killed, lines

if TYPE_CHECKING:
    from collections.abc import Callable


class Figure(NamedTuple):
    """One figure: what was tried, how often, and what came out wrong (the first few in words)."""

    name: str
    what: str
    tries: int
    wrong: tuple[str, ...]

    @property
    def bound(self) -> str:
        """The rate that a 95 % confidence leaves."""
        if self.wrong:
            return f"{len(self.wrong) / self.tries:.2%} seen"
        return f"below {3 / self.tries:.3%}"


def injections(folder: Path, scale: float) -> Figure:
    """Random damage at random places; every one has to be seen."""
    tries = max(20, int(3000 * scale))
    wrong = [
        f"seed {seed}: {name}" for seed in range(tries) for name, seen in [chance.injection(folder, seed)] if not seen
    ]
    return Figure("A1", "random damages injected; passed as identical", tries, tuple(wrong))


def matrix(folder: Path, scale: float) -> Figure:
    """Every kind of damage at every hop that can have it: the first bad hop and the cause, by name."""
    template = folder / "template"
    damage.repository(template)
    every = [(one, pair) for one in damage.DAMAGES for pair in PAIRS]
    if scale < 1:
        every = random.Random(5).sample(every, max(20, int(len(every) * scale)))
    wrong = []
    for number, (one, (before, after)) in enumerate(every):
        here = folder / str(number)
        repo = shutil.copytree(template, here / "repo", symlinks=True)
        chain = chain_of(repo, one, before, after)
        last = len(chain.hops) - 1
        if chain.first_changed != last or rows_of(chain, last) != expected_of(one, before, after):
            wrong.append(f"{one.name}: {before} to {after}")
        shutil.rmtree(here)
    return Figure("A2", "damages by kind and hop; hop or cause named wrongly", len(every), tuple(wrong))


# a source on its way: the index, the disk, the archive, the object, the workspace, and the image
_HOPS = (
    ("commit", "index"), ("index", "worktree"), ("worktree", "tgz"), ("tgz", "zip"), ("tgz", "folder"), ("folder", "pax"),
)  # fmt: skip


def places(folder: Path, scale: float) -> Figure:
    """Every kind of damage at every hop of a source's way, at twenty places that seeds choose."""
    wrong, tries = [], 0
    for seed in range(max(1, int(20 * scale))):
        tree, found = seeded.damages(seed)
        template = folder / f"template-{seed}"
        damage.repository(template, tree)
        every = [(one, hop) for one in found for hop in _HOPS]
        for number, (one, (before, after)) in enumerate(every if scale >= 1 else every[:: max(1, int(0.3 / scale))]):
            here = folder / f"{seed}-{number}"
            repo = shutil.copytree(template, here / "repo", symlinks=True)
            chain = chain_of(repo, one, before, after, tree)
            last = len(chain.hops) - 1
            tries += 1
            if chain.first_changed != last or rows_of(chain, last) != expected_of(one, before, after):
                wrong.append(f"seed {seed}, {one.name}, {before} to {after}: {rows_of(chain, last)}")
            shutil.rmtree(here)
    return Figure(
        "A3", "damages by kind and hop at twenty seeded places; hop or cause named wrongly", tries, tuple(wrong)
    )


def clean(folder: Path, scale: float) -> Figure:
    """Chains in which nothing is wrong, under settings that people have."""
    tries = max(4, int(500 * scale))
    wrong = []
    for seed in range(tries):
        found = chains.chain(folder / str(seed), seed)
        if found.exit_code or found.unproven:
            wrong.append(f"seed {seed}")
        shutil.rmtree(folder / str(seed))
    return Figure("B", "clean chains; accused", tries, tuple(wrong))


def archives(folder: Path, scale: float) -> Figure:
    """Mutated archives: none may lose a member in silence, and none may crash the reader."""
    repo, file = folder / "repo", folder / "mutant"
    damage.repository(repo)
    tries = max(30, int(100_000 * scale))
    wrong = []
    for kind in ("tar", "tgz", "zip"):
        damage.stage_of(kind, repo, repo, "made")
        data = (repo / "stages" / f"made.{kind}").read_bytes()
        file.write_bytes(data)
        members = len(reader.read(file).manifest.entries)
        rng = random.Random(kind)
        for number in range(tries // 3):
            way, mutant = mutants.mutated(data, rng)
            file.write_bytes(mutant)
            try:
                found = reader.read(file)
            except UnprovenError:
                continue
            if way in mutants.KEEPS_BLOCKS and len(found.manifest.entries) != members:
                wrong.append(f"{kind} {number}")
    return Figure("C1", "mutated archives; a member lost in silence, or a crash", tries // 3 * 3, tuple(wrong))


_TOOLS = (["tar", "-xf"], ["bsdtar", "-xf"], ["busybox", "tar", "-xf"])


def parsers(folder: Path, scale: float) -> Figure:
    """Mutated archives that our reader takes: four others have to make the same tree of them."""
    repo, file, out = folder / "repo", folder / "mutant", folder / "out"
    damage.repository(repo)
    damage.stage_of("tar", repo, repo, "made")
    data = (repo / "stages/made.tar").read_bytes()
    rng = random.Random("parsers")
    tries, wrong = 0, []
    for number in range(max(40, int(15_000 * scale))):
        _way, mutant = mutants.mutated(data, rng)
        file.write_bytes(mutant)
        try:
            entries = reader.read(file).manifest.entries.values()
        except UnprovenError:
            continue
        tries += 1
        ours = {one.path: one.text if one.mode == "120000" else one.sha256 for one in entries}
        for words in _TOOLS:
            out.mkdir()
            done = subprocess.run([*words, file], cwd=out, capture_output=True, check=False)
            wrong += [f"{number}: {words[0]}"] if done.returncode or _tree(out) != ours else []
            shutil.rmtree(out)
        out.mkdir()
        with tarfile.open(file) as opened:
            opened.extraction_filter = lambda member, _path: member  # what our reader takes holds no way out
            opened.extractall(out)
        wrong += [f"{number}: tarfile"] if _tree(out) != ours else []
        shutil.rmtree(out)
    return Figure("C2", "mutated archives that we take; another tree by one of four parsers", tries, tuple(wrong))


def _tree(where: Path) -> dict[bytes, bytes | str]:
    """What is in a folder: the digest of each file, the text of each link."""
    found: dict[bytes, bytes | str] = {}
    for root, folders, files in os.walk(os.fsencode(where)):
        for name in (*files, *folders):
            path = os.path.join(root, name)
            if os.path.islink(path):
                found[os.path.relpath(path, os.fsencode(where))] = os.readlink(path)
            elif name in files:
                with open(path, "rb") as opened:
                    digest = hashlib.sha256(opened.read()).hexdigest()
                found[os.path.relpath(path, os.fsencode(where))] = digest
    return found


def verdicts(folder: Path, scale: float) -> Figure:
    """Sources with the verdict of each real interpreter: passes and refusals that are not its own."""
    shutil.copytree(CASES / "syntax", folder / "cases")
    with (CASES / "syntax.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    tries, wrong = 0, []
    for version, release in MEASURED.items() if scale >= 1 else [("3.11", MEASURED["3.11"])]:
        interpreter(version)
        words = ["check", "--format", "json", "--target", release, "--no-cache"]
        done = subprocess.run([killed.BUILDGUARD, *words], cwd=folder / "cases", capture_output=True, check=False)
        report = json.loads(done.stdout)
        refused = {one["path"] for one in report["diagnostics"] if one["code"] in {"BG101", "BG103"} or (one["code"][:4] == "BG20"
                   and one["severity"] == "error")}  # fmt: skip
        unproven = {one["path"] for one in report["unproven"]}
        for row in rows:
            tries += 1
            if (row["file"] in refused) == (row[version] == "ok") or row["file"] in unproven:
                wrong.append(f"{version} {row['file']}")
    return Figure("D", "hostile sources by real interpreter; another verdict than its own", tries, tuple(wrong))


def fstrings(folder: Path, scale: float) -> Figure:
    """f-strings by the grammar, that 3.12 and 3.13 take: what older ones say of each, and what is made of those that they refuse."""
    del folder
    wanted, tries, wrong = max(200, int(60_000 * scale)), 0, []
    rng = random.Random("by the grammar")
    while tries < wanted:
        sources = [f"s = {grammar.literal(rng, rng.choice((1, 2, 2, 3)))}\n" for _ in range(min(4_000, wanted))]
        for newer in ("3.12", "3.13"):
            sources = [one for one, said in zip(sources, oracle.refusals(newer, sources), strict=True) if not said]
        tries += len(sources)
        plans = {one: fix_plan.plan_rewrite(one, 11) for one in sources}
        for older in ("3.8", "3.11"):
            for one, said in zip(sources, oracle.refusals(older, sources), strict=True):
                wrong += [f"{older}: {one!r}"] if bool(said) != bool(plans[one].fixes) else []
        repaired = [made for made in plans.values() if made.after != made.before]
        for older in ("3.8", "3.11"):
            refused = oracle.refusals(older, [made.after for made in repaired])
            wrong += [
                f"{older} refuses the repair: {made.before!r}"
                for made, said in zip(repaired, refused, strict=True)
                if said and not any(fix.reason for fix in made.fixes)
            ]
        for newer in ("3.12", "3.13"):
            doubted = (made for made in repaired if oracle.doubt(newer, made.before, made.after, made.lifted))
            wrong += [f"{newer} reads the repair otherwise: {made.before!r}" for made in doubted]
    return Figure(
        "D2",
        "f-strings by the grammar; another verdict than 3.8's and 3.11's, or a repair that is none",
        tries,
        tuple(wrong),
    )


def kills(folder: Path, scale: float) -> Figure:
    """SIGKILL at random moments and in the middle of files."""
    each = max(2, int(13 * scale))
    wrong = []
    for number, command in enumerate(killed.COMMANDS):
        place = killed.Place(folder / str(number))
        wrong += [
            f"{command} {seed}: {words}" for seed in range(each) if (words := killed.killed(place, command, seed)[0])
        ]
    return Figure(
        "E1", "runs killed; something left behind, or the next one wrong", each * len(killed.COMMANDS), tuple(wrong)
    )


def faulty(folder: Path, scale: float) -> Figure:
    """What the system refuses, and how it ends a run: every kind at many places."""
    each = max(1, int(20 * scale))
    place = killed.Place(folder)
    tried = {(kind, seed): faults.trial(place, kind, seed) for kind in faults.KINDS for seed in range(each)}
    wrong = [f"{kind} {seed}: {words}" for (kind, seed), words in tried.items() if words]
    happened = sum(words is not None for words in tried.values())
    what = f"faults of {len(faults.KINDS)} kinds in a run; a pass, a false alarm, or something left behind"
    return Figure("E2", what, happened, tuple(wrong))


def broken_lines(folder: Path, scale: float) -> Figure:
    """Connections to the engine and to the bucket that break."""
    each = max(1, int(20 * scale))
    with closing(client.connect()) as reached:
        field = lines.Field(folder, reached.address.url)
    tried = {(kind, seed): field.trial(kind, seed) for kind in lines.KINDS for seed in range(each)}
    field.close()
    wrong = [f"{kind} {seed}: {words}" for (kind, seed), words in tried.items() if words]
    happened = sum(words is not None for words in tried.values())
    what = f"broken connections of {len(lines.KINDS)} kinds; a pass, a false alarm, or something left behind"
    return Figure("E3", what, happened, tuple(wrong))


def walks(_folder: Path, scale: float) -> Figure:
    """Random walks of a service; they want what the tests of deploying want, and so run as those do."""
    number = max(2, int(40 * scale))
    words = ["-q", "-n", "4", "-p", "no:cacheprovider", "tests/deploy/test_walks.py"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "BUILDGUARD_WALKS": str(number), "CI": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    wrong = re.findall(r"^FAILED .*|^ERROR .*", ran.stdout, re.MULTILINE)
    passed = re.search(r"(\d+) passed", ran.stdout)
    assert passed is not None or wrong, ran.stdout
    steps = (int(passed[1]) if passed else 0) * STEPS
    what = "steps of random walks of a service; a deploy that does not go well, traffic that moves unproven, a last line that lies"
    return Figure("E4", what, steps + len(wrong), tuple(wrong))


def poison(folder: Path, scale: float) -> Figure:
    """Caches that were tampered with: not one verdict may come of it."""
    import sqlite3

    place = killed.Place(folder)
    tries, wrong = 0, []
    ways: dict[str, Callable[[Path], object]] = dict(test_cache.DAMAGES)
    for statement in test_cache.POISONS:

        def poisoned(file: Path, statement: str = statement) -> None:
            with sqlite3.connect(file) as db:
                db.execute(statement)
            db.close()

        ways[statement] = poisoned
    for name, do in ways.items() if scale >= 1 else list(ways.items())[::8]:
        shutil.rmtree(place.cache, ignore_errors=True)
        place.run(killed.COMMANDS["check"])
        do(place.cache / "verdicts-1.sqlite")
        for _ in range(2):
            _status, out = place.run(killed.COMMANDS["check"])
            refused = {one["path"] for one in json.loads(out)["diagnostics"] if one["severity"] == "error"}
            tries += len(place.files) - 1
            wrong += [f"{name}: {path}" for path in refused ^ killed.BAD]
    return Figure("F", "verdicts behind a poisoned cache; another one", tries, tuple(wrong))


def broken(folder: Path, scale: float) -> Figure:
    """The guard itself broken, detector by detector: the matrix of damage has to fail each time."""
    del scale
    made = test_detectors.made_in(folder)
    assert not list(test_detectors.wrong_of(made)), "with every detector in place the matrix holds"
    without: list[tuple[str, Any]] = [
        (
            one.__name__,
            patch.object(causes, "DETECTORS", tuple(other for other in causes.DETECTORS if other is not one)),
        )
        for one in causes.DETECTORS
    ]
    without += [(name, patch.object(NameIndex, name, lambda _self, _one: None)) for name in test_detectors.NAMES]
    without.append(("history", patch.object(EvidenceCollector, "_find_in_history", lambda _self, _rows: {})))
    wrong = []
    for name, broken_by in without:
        with broken_by:
            if next(test_detectors.wrong_of(made), None) is None:
                wrong.append(name)
    return Figure("G", "detectors disabled; without anybody noticing", len(without), tuple(wrong))


def hashes(folder: Path, scale: float) -> Figure:
    """Our digests against those of git, coreutils and bsdtar, on real trees."""
    del folder
    installed = Path(sysconfig.get_path("purelib"))
    trees = [one for one in sorted(installed.iterdir()) if one.is_dir() and any(one.rglob("*.py"))][
        : 4 if scale >= 1 else 1
    ]
    if scale >= 1:
        for version in MEASURED:
            words = [str(interpreter(version)), "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"]
            trees.append(Path(subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()))
    tries, wrong = 0, []
    for tree in trees:
        files = {
            os.fsencode(tree / os.fsdecode(path)): one
            for path, one in chance.of_folder(tree).manifest.entries.items()
            if one.mode != "120000" and b"\n" not in path and b"\\" not in path
        }
        names = b"\n".join(files)
        asked = ["git", "hash-object", "--no-filters", "--stdin-paths"]
        blobs = subprocess.run(asked, input=names, capture_output=True, check=True).stdout.decode().split()
        summed = subprocess.run(["xargs", "-d", "\\n", "sha256sum"], input=names, capture_output=True, check=True)
        listed = subprocess.run(
            ["bsdtar", "-cf-", "--format=mtree", "--options=!all,sha256", "-T-", "--null"],
            input=names.replace(b"\n", b"\0"), capture_output=True, check=True,
        )  # fmt: skip
        # in an order of its own, and with names escaped in a way of its own
        third = Counter(one.decode() for one in re.findall(rb"sha256digest=([0-9a-f]{64})", listed.stdout))
        wrong += [f"bsdtar: {tree}: {one}" for one in third - Counter(one.sha256 for one in files.values())]
        tries += third.total()
        for (path, one), blob, line in zip(files.items(), blobs, summed.stdout.splitlines(), strict=True):
            tries += 2
            wrong += [f"git: {path!r}"] if one.blob != blob else []
            wrong += [f"sha256sum: {path!r}"] if line.split()[0].decode() != one.sha256 else []
    return Figure("H", f"digests in {len(trees)} real trees; not git's, sha256sum's and bsdtar's", tries, tuple(wrong))


def library(_folder: Path, scale: float) -> Figure:
    """Each import of the standard libraries, executed on each Python and compared with the answer."""
    rows = imports.statements_of(VERSIONS, max(1, round(1 / max(scale, 0.02))))
    counts = [imports.count(version, rows) for version in VERSIONS]
    decided = sum(one.executed - one.undecided for one in counts)
    wrong = tuple(line for one in counts for line in one.wrong)
    return Figure(
        "I", "imports of the standard library on 3.8 to 3.13; another answer than executing them", decided, wrong
    )


FIGURES: tuple[Callable[[Path, float], Figure], ...] = (
    injections, matrix, places, clean, archives, parsers, verdicts, fstrings, kills, faulty, broken_lines, walks, poison, broken, hashes, library,
)  # fmt: skip


def table(figures: list[Figure], before: str = "") -> str:
    """The page: one row for each; what was not counted this time keeps the row that it had before."""
    lines = [
        "# How often it was wrong",
        "",
        "`python -m bench.trust` counts, and writes this page. Every injection is checked to have happened, every try is seeded. Where nothing",
        "was wrong in N tries, the rate lies below 3 / N with 95 % confidence.",
        "",
        f"Counted on: CPython {sys.version.split()[0]}, {sys.platform}.",
        "",
        "| | what was tried; what would be wrong | tries | wrong | rate |",
        "|---|---|---|---|---|",
    ]
    rows = {line.split()[1]: line for line in before.splitlines() if re.match(r"\| [A-I]\d? ", line)}
    rows |= {
        one.name: f"| {one.name} | {one.what} | {one.tries:,} | {len(one.wrong)} | {one.bound} |" for one in figures
    }
    lines += [rows[name] for name in sorted(rows)]
    _figures, mark, others = before.partition("\n<!-- predictions -->\n")  # of bench.predictions and bench.diagnose
    return "\n".join(lines) + "\n" + mark + others
