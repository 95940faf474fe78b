"""`python -m bench.programs`: the f-string rules and fixes over random programs, compared with real interpreters.

Writes docs/programs.md. Any miss, false alarm or unequal fix ends it with status 1 and prints the program.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from buildguard.codes import RULE_ERRORS
from buildguard.fstrings import rules
from buildguard.fstrings.fix_plan import plan_rewrite
from buildguard.fstrings.prefilter import may_be_refused, may_nest
from tests.oracle import doubt, refusals
from tests.programs import Programs

_PROJECT = Path(__file__).parents[1]
_BATCH = 500
_LEAST = 0.75  # one program in seven prints a backslash with `=`, and is left
_WRONG = ("missed", "false alarm", "screen missed", "does not compile", "means something else", "fixed twice")


def main() -> None:
    """Draw, judge, repair, count, and write."""
    parser = argparse.ArgumentParser(prog="python -m bench.programs", description=__doc__)
    parser.add_argument("--programs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    seeds = range(options.seed * 1_000_000, options.seed * 1_000_000 + options.programs // _BATCH)
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for counted, why, wrong in pool.map(_batch, seeds):
            counts.update(counted)
            reasons.update(why)
            for line in wrong:
                print(line, file=sys.stderr)
    _write(counts, reasons, options.seed)
    share = counts["fixed"] / max(1, counts["refused by 3.11, legal on 3.12 and 3.13"])
    sys.exit(1 if any(counts[name] for name in _WRONG) or share < _LEAST else 0)


def _batch(seed: int) -> tuple[Counter[str], Counter[str], list[str]]:
    programs = Programs(random.Random(seed).randrange)
    sources = [programs.program() for _ in range(_BATCH)]
    verdicts = {version: refusals(version, sources) for version in ("3.8", "3.11", "3.12", "3.13")}
    counts: Counter[str] = Counter(programs=len(sources))
    wrong: list[str] = []
    broken = []
    for at, source in enumerate(sources):
        found = {one.code for one in rules.findings(source.encode(), 11)}
        errors = bool(found & RULE_ERRORS)
        legal = not verdicts["3.12"][at] and not verdicts["3.13"][at]
        old = bool(verdicts["3.11"][at])
        name = ""
        if (not verdicts["3.12"][at] or not verdicts["3.13"][at]) and old and not errors:
            name = "missed"
        elif errors and not (old and verdicts["3.8"][at]):
            name = "false alarm"
        elif (errors and not may_be_refused(source.encode())) or (
            found and not errors and not may_nest(source.encode())
        ):
            name = "screen missed"
        if name:
            counts[name] += 1
            wrong.append(f"{name}: {source!r}")
        if legal and old:
            counts["refused by 3.11, legal on 3.12 and 3.13"] += 1
            broken.append(source)
    reasons = _repair(broken, counts, wrong)
    return counts, reasons, wrong


def _repair(broken: list[str], counts: Counter[str], wrong: list[str]) -> Counter[str]:
    reasons: Counter[str] = Counter()
    made = [plan_rewrite(source, 11) for source in broken]
    for one in made:
        reasons.update({fix.reason for fix in one.fixes if fix.reason})
    whole = [one for one in made if not any(fix.reason for fix in one.fixes)]
    after = [one.after for one in whole]
    verdicts = [refusals(version, after) for version in ("3.8", "3.11")]
    for at, one in enumerate(whole):
        if any(verdict[at] for verdict in verdicts):
            name = "does not compile"
        elif any(doubt(version, one.before, one.after, one.lifted) for version in ("3.12", "3.13")):
            name = "means something else"
        elif plan_rewrite(one.after, 11).fixes:
            name = "fixed twice"
        else:
            name = "fixed"
        counts[name] += 1
        if name != "fixed":
            wrong.append(f"{name}: {one.before!r} -> {one.after!r}")
    return reasons


def _write(counts: Counter[str], reasons: Counter[str], seed: int) -> None:
    broken = counts["refused by 3.11, legal on 3.12 and 3.13"]
    rows = [(name, counts[name]) for name in ("programs", "refused by 3.11, legal on 3.12 and 3.13", "fixed", *_WRONG)]
    lines = [
        "# Random programs",
        "",
        "`python -m bench.programs` draws programs around f-strings, compiles each with CPython 3.8, 3.11, 3.12 and 3.13,",
        "and compares: what the rules find with what 3.8 and 3.11 refuse, and what each fix means with what was there.",
        "",
        f"Seed {seed}; {counts['fixed'] / max(1, broken):.1%} of what 3.11 refuses and both 3.12.1 and 3.13.0 take is fixed.",
        "",
        "| what | how many |",
        "|---|---|",
        *(f"| {name} | {number:,} |" for name, number in rows),
        "",
        "Left alone, by reason:",
        "",
        "| reason | programs |",
        "|---|---|",
        *(f"| {reason} | {number:,} |" for reason, number in reasons.most_common()),
        "",
    ]
    text = "\n".join(lines)
    (_PROJECT / "docs/programs.md").write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
