"""What the figure scripts share: the non-interactive backend, the caption, the saved file, a markdown table."""

from collections.abc import Sequence
from pathlib import Path

import jax
import matplotlib
import numpy as np
import optax

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator

COLOURS = ("#0b6fa4", "#d9541e", "#3a8f3a", "#7b52ab", "#555555")


def save(figure: plt.Figure, path: Path, caption: str) -> None:
    """Write the figure with a caption that says what was computed with what."""
    versions = f"jax {jax.__version__}, optax {optax.__version__}, {jax.devices()[0].device_kind}"
    figure.text(0.5, 0.005, f"{caption} {versions}.", ha="center", va="bottom", fontsize=8, wrap=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    print(f"figure: {path}")


def cosine_panel(axes: plt.Axes, cosines: np.ndarray, title: str, first: int = 1) -> matplotlib.image.AxesImage:
    """A cosine matrix with its token numbers, on the scale -1 .. 1."""
    last = first + len(cosines) - 1
    edges = (first - 0.5, last + 0.5, last + 0.5, first - 0.5)
    image = axes.imshow(cosines, vmin=-1, vmax=1, cmap="RdBu_r", extent=edges)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(title, fontsize=9)
    axes.tick_params(labelsize=7)
    return image


def band(axes: plt.Axes, x: np.ndarray, values: np.ndarray, label: str, colour: str, style: str = "-") -> None:
    """Mean over seeds `[seed, time]` as a line, smallest to largest as a band."""
    axes.plot(x, values.mean(axis=0), style, color=colour, label=label, linewidth=1.5)
    axes.fill_between(x, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.2, linewidth=0)


def markdown(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table that renders on any forge."""
    lines = [header, ["---"] * len(header), *rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"| {' | '.join(cells)} |\n" for cells in lines), encoding="utf-8")
    print(f"table: {path}")
