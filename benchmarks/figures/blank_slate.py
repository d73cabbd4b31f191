"""From noise to meaning: when unigram, bigram, similarity, analogies and senses arrive, and what theory predicts.

`python benchmarks/figures/blank_slate.py` prints levels, modes and evidence, and writes figure, animation and tables.
Needs JAXEMBED_DATA; about an hour and a half on two cores, of which the training of five decoders is most; `--keep
FOLDER` goes on where a killed run stopped, and takes the decoders that `senses.py` and `lens.py` keep in the same
folder. `--size tiny` takes ten seconds and needs no data.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import COLOURS, main
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxembed.studies.language.blank_slate import CLOCK, STUDY, BlankSlate
from jaxembed.studies.language.blank_slate_flow import FlowRun
from jaxembed.studies.language.blank_slate_levels import LEVELS, Level

PLAIN = {
    "unigram": "how often words occur",
    "bigram": "which word follows which",
    "similarity": "which words are alike",
    "offsets": "relations as directions",
    "analogies": "analogies solved",
    "senses": "senses told apart",
}
PAINT = dict(zip(LEVELS, (*COLOURS, "#b8860b", "#444444", "#888888"), strict=False))
GROUPS = {
    "months": ("january", "march", "april", "june", "july", "august", "september", "october"),
    "places": ("london", "paris", "germany", "france", "china", "india", "japan", "europe"),
    "people": ("he", "she", "they", "we", "him", "her", "them", "us"),
    "verbs": ("make", "take", "find", "give", "get", "see", "know", "think"),
    "numbers": ("one", "two", "three", "four", "five", "six", "seven", "eight"),
    "time": ("day", "days", "week", "month", "months", "year", "years", "hours"),
}
"""Words that the animation shows; those that the vocabulary lacks are left out."""
STEPS_BETWEEN = 4
"""Frames between two saves of the animation, straight between them."""


def draw(result: BlankSlate, figure: Figure) -> None:
    figure.set_size_inches(13, 9.5)
    axes = figure.subplots(2, 2)
    levels_panel(axes[0, 0], result)
    order_panel(axes[0, 1], result)
    flow_panel(axes[1, 0], result.flows[0])
    modes_panel(axes[1, 1], result.flows)


def levels_panel(axes: Axes, result: BlankSlate) -> None:
    for name, level in result.levels.items():
        if level.arrival.everywhere:
            curve(axes, level, PLAIN[name], PAINT[name])
        else:
            axes.plot([], [], color=PAINT[name], alpha=0.4, label=f"{PLAIN[name]}: {level.arrival}")
    axes.axhline(0.5, color="grey", linewidth=0.6, linestyle=":")
    axes.set_xscale("symlog", linthresh=next(iter(result.levels.values())).ts[1])
    axes.set(xlabel=CLOCK, ylabel="share of the rise", xlim=(0, None), ylim=(-0.3, 1.25))
    axes.set_title("one run: how much of each level is there")
    axes.legend(fontsize=8)


def curve(axes: Axes, level: Level, label: str, colour: str, style: str = "-") -> None:
    shares = level.shares
    axes.plot(level.ts, shares.mean(axis=0), style, color=colour, label=label)
    axes.fill_between(level.ts, shares.min(axis=0), shares.max(axis=0), color=colour, alpha=0.15, linewidth=0)


def order_panel(axes: Axes, result: BlankSlate) -> None:
    names = [*result.order, *result.never]
    for place, name in enumerate(names):
        found = result.levels[name].arrival
        times = found.times[found.arrived]
        axes.plot(np.maximum(times, 1), np.full(len(times), place), "o", color=PAINT[name], alpha=0.7)
        mean, low, high = found.interval()
        if np.isfinite(low):
            axes.plot([max(low, 1), high], [place, place], color=PAINT[name], linewidth=2)
            axes.plot(mean, place, "|", color="black", markersize=14)
        if not found.everywhere:
            axes.annotate(
                str(found), (0.5, place), xycoords=("axes fraction", "data"), fontsize=8, va="bottom", ha="center"
            )
    axes.set_yticks(range(len(names)), [PLAIN[name] for name in names])
    axes.set(xscale="log", xlabel=f"{CLOCK} (dots: seeds; line: 95 % interval of the mean)")
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_title("order of arrival")
    axes.grid(alpha=0.3)


def flow_panel(axes: Axes, run: FlowRun) -> None:
    for name in run.levels:
        curve(axes, run.levels[name], f"{PLAIN[name]}, trained", PAINT[name])
        curve(axes, run.predicted[name], f"{PLAIN[name]}, theory", PAINT[name], "--")
    axes.axhline(0.5, color="grey", linewidth=0.6, linestyle=":")
    axes.set(
        xlabel="flow time", ylabel="share of the rise", title=f"{run.name}: trained and predicted", ylim=(-0.3, 1.1)
    )
    axes.legend(fontsize=8)


def modes_panel(axes: Axes, flows: tuple[FlowRun, ...]) -> None:
    """Both clocks in units of the first predicted mode of each model, so that they share one pair of axes."""
    for run, mark, colour in zip(flows, "os", COLOURS, strict=False):
        pairs = run.modes.pairs()
        pairs = pairs / np.nanmin(pairs[:, 0])
        axes.plot(pairs[:, 0], pairs[:, 1], mark, color=colour, alpha=0.8, label=run.name)
        labelled = range(len(pairs)) if run is flows[0] else ()
        for k in (k for k in labelled if np.isfinite(pairs[k]).all() and k < 7):
            axes.annotate(run.modes.names[k], pairs[k], fontsize=7, xytext=(4, -8), textcoords="offset points")
    ends = np.array(axes.get_xlim())
    axes.plot(ends, ends, color="grey", linewidth=0.8, linestyle="--", label="observed = predicted")
    axes.set(
        xscale="log", yscale="log", xlabel="predicted time of half a mode / first mode's", ylabel="observed / same"
    )
    axes.set_title("modes: predicted and observed (mean over seeds)")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def animate(result: BlankSlate, figure: Figure) -> FuncAnimation:
    """Words wander into groups while the levels fill; straight between saves."""
    groups = word_groups(result.words)
    rows = [result.words.index(word) for group in groups.values() for word in group]
    places = projected(result.frames[:, rows].astype(np.float64))
    shown = {name: level for name, level in result.levels.items() if level.arrival.everywhere}
    ts = next(iter(result.levels.values())).ts
    at = np.linspace(0, len(ts) - 1, STEPS_BETWEEN * (len(ts) - 1) + 1)
    at = np.concatenate([at, np.full(2 * STEPS_BETWEEN, at[-1])])
    figure.set_size_inches(10, 5)
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1))
    limit = 1.15 * np.abs(places).max()
    named = [(word, colour) for group, colour in zip(groups.values(), PAINT.values(), strict=False) for word in group]
    texts = [left.text(0, 0, word, color=colour, fontsize=8, ha="center") for word, colour in named]
    left.set(xlim=(-limit, limit), ylim=(-limit, limit), xticks=[], yticks=[])
    bars = right.barh([PLAIN[name] for name in shown], np.zeros(len(shown)), color=[PAINT[name] for name in shown])
    right.axvline(0.5, color="grey", linewidth=0.8, linestyle=":")
    right.invert_yaxis()
    right.set(xlim=(0, 1.15), xlabel="how much of it is there (1: end of training)")

    def update(moment: float) -> None:
        for row, text in enumerate(texts):
            text.set_position(between(places[:, row], moment))
        for bar, level in zip(bars, shown.values(), strict=True):
            bar.set_width(float(np.clip(between(level.shares.mean(axis=0), moment), 0, 1.15)))
        left.set_title(f"words in the embedding after {between(ts, moment):,.0f} {CLOCK.replace(' seen', '')}")

    update(0.0)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # laid out once: doing it anew in every frame takes most of the time
    return FuncAnimation(figure, update, frames=at, repeat=False, interval=1000 / 6)


def word_groups(words: tuple[str, ...], fewest: int = 4) -> dict[str, tuple[str, ...]]:
    """Groups of which the vocabulary holds enough words; else words with their plurals."""
    known = set(words)
    groups = {name: tuple(word for word in group if word in known) for name, group in GROUPS.items()}
    groups = {name: group for name, group in groups.items() if len(group) >= fewest}
    if len(groups) > 2:
        return groups
    plural = tuple(word for word in words if len(word) > 3 and word.endswith("s") and word[:-1] in known)[:8]
    return {"one": tuple(word[:-1] for word in plural), "many": plural} if plural else {"words": words[:16]}


def between(values: np.ndarray, moment: float) -> np.ndarray:
    before = int(np.floor(moment))
    after = min(before + 1, len(values) - 1)
    return values[before] + (moment - before) * (values[after] - values[before])


def projected(frames: np.ndarray) -> np.ndarray:
    """Unit rows, less their mean, on the two leading directions of the last frame, which stay the same throughout."""
    unit = frames / np.linalg.norm(frames, axis=2, keepdims=True)
    centred = unit - unit.mean(axis=1, keepdims=True)
    return centred @ np.linalg.svd(centred[-1], full_matrices=False)[2][:2].T


if __name__ == "__main__":
    main(STUDY, draw, film=animate)
