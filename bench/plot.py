"""The picture of the benchmarks: how cost grows with the tree, and what each peer finds, from the JSON of a run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from bench.peers import Row


def plot(rows: list[Row], folder: Path) -> None:
    """Write benchmarks.png and benchmarks.svg."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "buildguard"
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    _growth(left, rows)
    _found(right, rows)
    for kind in ("png", "svg"):
        figure.savefig(folder / f"benchmarks.{kind}", metadata={"Date": None} if kind == "svg" else None)
    plt.close(figure)


def _growth(axes: Any, rows: list[Row]) -> None:
    for name in ("cold", "warm"):
        points = [
            (int(match[1].replace(",", "")), float(value))
            for what, value, _limit in rows
            if (match := re.fullmatch(rf"growth: seconds, {name}, ([\d,]+) files", what))
        ]
        if points:
            axes.plot(*zip(*sorted(points), strict=True), marker="o", label=name)
    axes.set(xscale="log", yscale="log", xlabel="files", ylabel="seconds", title="check, by the size of the tree")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()


def _found(axes: Any, rows: list[Row]) -> None:
    names: list[str] = []
    numbers: list[list[int]] = []
    for what, value, _limit in rows[::-1]:
        if " and found: " in what:
            names.append(what.rpartition(": ")[2])
            numbers.append([int(one) for one in re.findall(r"\d+", value)])
    axes.barh(names, [one[0] for one in numbers], label="found", color="tab:green")
    axes.barh(names, [-one[2] for one in numbers], label="accused falsely", color="tab:red")
    if numbers:
        axes.axvline(numbers[0][1], color="black", linewidth=1)
    axes.set(title="files that Python 3.11 refuses", xlabel="accused falsely · found (the line is all of them)")
    axes.legend(loc="lower right")
