"""The results as a chart. It needs the extra `bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .clients import CLIENTS, OURS
from .report import Report
from .results import Results
from .table import COLUMNS, Column

__all__ = ["draw"]

_OWN, _OTHER = "#1a7f64", "#9aa5b1"
_ROOM_FOR_NUMBERS = 0.3


def draw(report: Report, path: Path) -> None:
    """Draw, for each of the table's columns, one bar for each client."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    # Text as text, and the same ids each time: so the file is small, and its changes are real.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "benchmarks", "font.size": 8})
    figure, axes = plt.subplots(2, 4, figsize=(12, 5), sharey=True, layout="constrained")
    for axis, column in zip(axes.flat, COLUMNS, strict=True):
        _bars(axis, column, report.results)
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)
    # The library leaves blanks at lines' ends, which version control complains about.
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8")


def _bars(axis: Any, column: Column, results: Results) -> None:
    spreads = {name: column.spread(results, name) for name in reversed(CLIENTS)}
    bars = axis.barh(
        [CLIENTS[name].title for name in spreads],
        [spread.middle if spread else 0 for spread in spreads.values()],
        color=[_OWN if name in OURS else _OTHER for name in spreads],
    )
    axis.bar_label(
        bars,
        [column.shown(spread) if spread else "" for spread in spreads.values()],
        padding=2,
    )
    axis.set_title(column.title)
    axis.set_xticks([])
    axis.margins(x=_ROOM_FOR_NUMBERS)
    axis.tick_params(left=False)
    axis.spines[["top", "right", "bottom"]].set_visible(False)
