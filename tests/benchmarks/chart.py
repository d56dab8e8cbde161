"""The results as a chart. It needs the extra `bench`."""

from __future__ import annotations

from pathlib import Path

from .clients import CLIENTS, OURS
from .report import Report
from .table import COLUMNS

__all__ = ["draw"]

_OWN, _OTHER = "#1a7f64", "#9aa5b1"
_SHOWN = (0, 1, 2, 4, 5, 7)  # of the table's columns
_LOGARITHMIC = "events/s"


def draw(report: Report, path: Path) -> None:
    """Draw one bar for each client and figure."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    # Text as text, and the same ids each time: so the file is small, and its changes are real.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "benchmarks", "font.size": 8})
    figure, axes = plt.subplots(2, 3, figsize=(12, 5.5), layout="constrained")
    for axis, column in zip(axes.flat, [COLUMNS[index] for index in _SHOWN], strict=True):
        spreads = {
            name: spread
            for name in reversed(CLIENTS)
            if name not in column.unless
            and (spread := report.results.spread(column.name, name, column.value)) is not None
        }
        bars = axis.barh(
            [CLIENTS[name].title for name in spreads],
            [spread.middle for spread in spreads.values()],
            color=[_OWN if name in OURS else _OTHER for name in spreads],
        )
        axis.bar_label(bars, fmt=f"{{:,.{column.digits}f}}", padding=2)
        if spreads and _LOGARITHMIC in column.title:
            axis.set_xscale("log")
        axis.set_title(column.title)
        axis.margins(x=0.2)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)
