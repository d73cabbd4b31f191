"""The picture of a decoding: losses above their floor, and every score by what it is read from."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..tables import interval
from .result import DecodingResult
from .scores import SOURCES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DRAWN = ("R2", "accuracy", "L2", "KL")
"""Metrics that are drawn."""
MODEL_COLOUR, NULL_COLOUR, CEILING_COLOUR = "#1b6ca8", "0.5", "#4a7c59"


def draw(result: DecodingResult, path: Path, dpi: int = 130) -> None:
    """Write the figure as a PNG."""
    from matplotlib.figure import Figure

    decoded = result.decoded
    panels = [(target, metric) for target in decoded.targets for metric in decoded.metrics(target) if metric in DRAWN]
    columns = min(3, len(panels) + 1)
    rows = -(-(len(panels) + 1) // columns)
    figure = Figure(figsize=(4.6 * columns, 2.9 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    _losses(axes.flat[0], result)
    for each, panel in zip(axes.flat[1:], panels, strict=False):
        _sources(each, result, *panel)
    for each in axes.flat[len(panels) + 1 :]:
        each.axis("off")
    figure.suptitle(result.title)
    figure.supxlabel("\n".join(textwrap.wrap(result.caption, 52 * columns)), fontsize=7)
    figure.savefig(path, dpi=dpi)


def _losses(axes: "Axes", result: DecodingResult) -> None:
    floor, losses = np.asarray(result.decoded.losses["floor"]), np.asarray(result.curve["losses"])
    known = np.isfinite(floor).all()
    for line, least in zip(losses, floor, strict=True):
        # Every seed has a world of its own, so that losses are shown above the floor of that world.
        axes.plot(np.asarray(result.curve["steps"]), line - (least if known else 0.0), color=MODEL_COLOUR, lw=1)
    axes.set(xlabel="step", ylabel="loss less the floor of the test draws" if known else "loss")
    if known:
        axes.set_yscale("symlog", linthresh=1e-2)
        axes.axhline(0.0, color="k", lw=0.8, ls="--")
    axes.set_title(f"training, {len(losses)} seeds", fontsize=9)


def _sources(axes: "Axes", result: DecodingResult, target: str, metric: str) -> None:
    """A row of dots for each source: the model first, the ceiling last."""
    place = {"position": result.judged}
    for i, source in enumerate(SOURCES):
        values = result.decoded.values(target, metric, source, **place)
        colour = {0: MODEL_COLOUR, len(SOURCES) - 1: CEILING_COLOUR}.get(i, NULL_COLOUR)
        axes.plot(values, np.full(len(values), i), "o", color=colour, ms=5, alpha=0.8)
    axes.set_yticks(range(len(SOURCES)), SOURCES, fontsize=8)
    axes.invert_yaxis()
    axes.grid(axis="x", color="0.92")
    share = interval(result.decoded.share(target, metric, **place))
    axes.set_title(f"{metric} of {target}; share of the gap {share}", fontsize=9)
