"""Figures as pictures: growth with the number of rules, on two logarithmic axes, as SVG.

pip install 'pbac-gateway[benchmarks]'
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

SIZE_INCHES = (7.0, 4.2)
COLOURS = ("#1f6f8b", "#d1495b", "#3a7d44", "#8d6a9f")

# Text stays text, and the same figures give the same file.
mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "pbac", "font.family": "sans-serif"})


def growth(
    rows: Mapping[str, Mapping[str, float]], figures: Sequence[str], file: Path, unit: str
) -> None:
    """Draw figures of rows named `what.RULES` over the number of rules."""
    sizes = sorted({int(name.partition(".")[2]) for name in rows})
    what = next(iter(rows)).partition(".")[0]
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.subplots()
    for name, colour in zip(figures, COLOURS, strict=False):
        values = [rows[f"{what}.{size}"][name] for size in sizes]
        axes.loglog(sizes, values, marker="o", linewidth=2, color=colour)
        label = f"{name.rpartition('_')[0].replace('_', ' ')}  {values[-1]:,.4g}"
        axes.annotate(
            label, (sizes[-1], values[-1]), (-6, 8), textcoords="offset points",
            ha="right", color=colour, fontweight="bold",
        )  # fmt: skip
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.set_xlabel("rules")
    axes.set_ylabel(unit)
    axes.minorticks_off()
    axes.grid(visible=True, which="major", color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, metadata={"Date": None})
