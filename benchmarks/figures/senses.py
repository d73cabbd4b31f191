"""Ambiguous words in their sentences: can their senses be told by layer, against all nulls, and what does attention do.

`python benchmarks/figures/senses.py --keep FOLDER` reads six words of CoarseWSD-20 and a pseudo-word from decoders
trained on The Pile and from untrained ones, writes the figure and the tables, and exits non-zero where a figure falls
short; about ten minutes on a busy core. Decoders that FOLDER does not hold are trained first, an hour and more on two
cores. Needs JAXEMBED_DATA. `--size tiny` merges two words of Python's documentation and trains its own decoders, about
fifteen seconds. A killed run goes on from FOLDER.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from _drawing import COLOURS, band, plt, save
from _generated import stamped_markdown
from common import KEEP, arguments, finish, show

from jaxembed.analysis.senses.probes import balanced_mean
from jaxembed.studies.language.senses import ATTENTION_HEADER, HEADER, SensesResult, WordResult, senses


def main() -> None:
    args = arguments(__doc__.splitlines()[0], keep=KEEP)
    result = senses(args.size, keep=args.keep, progress=lambda line: print(line, flush=True))
    for word in result.words:
        show(word.task.word, ("balanced accuracy", ""), list(zip(HEADER, word.row(), strict=True))[1:])
    command = f"python benchmarks/figures/senses.py --size {args.size}"
    tables = {"": (HEADER, result.rows()), "_layers": (result.layer_header, result.layer_rows()),
              "_attention": (ATTENTION_HEADER, result.attention_rows())}  # fmt: skip
    for name, (header, rows) in tables.items():
        stamped_markdown(args.out / f"senses{name}.md", header, rows, command, note_on(result))
    draw(result, args.out / "senses.png")
    finish("senses in context", result.checks())


UNSEEN = {
    "tiny": "",
    "normal": "; the pseudo-word's test sentences are mostly text that the networks (not the probes) were trained on",
}


def note_on(result: SensesResult) -> str:
    """What was read, and what the intervals are over."""
    seeds = len(result.words[0].trained)
    return (
        f"{result.size}; {seeds} trained and untrained networks (init and data order), {result.words_seen:,} words "
        "each; balanced accuracy of linear probes at the depth that validation sentences chose; [95 % interval over "
        "test sentences], sd over networks; a gain also with its interval over networks (Student) and over both "
        "(bootstrap); the decoder is causal: at the word it has read the left context alone; no ceiling is known but "
        "1; by depth: accuracy (separation: squared distance of the means over the variance within); mixtures: cosine, "
        "relative error" + UNSEEN[result.size]
    )


def draw(result: SensesResult, path: Path) -> None:
    columns = min(4, len(result.words) + 1)
    rows = -(-(len(result.words) + 1) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4.2 * columns, 3.9 * rows), layout="constrained", squeeze=False)
    figure.get_layout_engine().set(rect=(0, 0.07, 1, 0.93))
    flat = axes.ravel()
    for place, word in zip(flat, result.words, strict=False):
        depth_panel(place, word)
    flat[0].legend(fontsize=7, loc="best")
    gain_panel(flat[len(result.words)], result)
    for place in flat[len(result.words) + 1 :]:
        place.axis("off")
    caption = (
        f"Linear probes with equal weight on every sense; {len(result.words[0].trained)} networks (band: smallest to "
        f"largest), {result.words_seen:,} words of training; counts and mean of static embeddings of the same left "
        "words.\nRight: best depth (chosen on validation sentences) less the null, 95 % over sentences and networks. "
    )
    save(figure, path, caption)


def depth_panel(axes: plt.Axes, word: WordResult) -> None:
    lines = (("trained", "word", "-", COLOURS[0]), ("trained", "end", "-", COLOURS[2]),
             ("untrained", "word", "--", COLOURS[4]))  # fmt: skip
    for stage, where, style, colour in lines:
        values = word.accuracy(stage, where)
        at = "at the word" if where == "word" else "at the end"
        band(axes, np.arange(values.shape[1]), values, f"{stage}, {at}", colour, style)
    nulls = (("counts of left words", word.bags["left"][None], COLOURS[1]),
             ("mean embedding of left words", word.mean_hits("left"), COLOURS[3]))  # fmt: skip
    for name, hits, colour in nulls:
        axes.axhline(balanced_mean(hits, word.senses).mean(), color=colour, linewidth=1, linestyle="-.", label=name)
    axes.axhline(word.task.chance, color="black", linewidth=0.8, linestyle=":", label="static: 1 / senses")
    depths = word.accuracy("trained").shape[1]
    axes.set_xticks(range(depths), ["emb", *map(str, range(1, depths - 1)), "norm"])
    axes.set(ylim=(min(0.25, word.task.chance - 0.05), 1.02), xlabel="depth", ylabel="balanced accuracy")
    axes.set_title(f"{word.task.word} ({word.task.counts(word.task.test)} test sentences)", fontsize=9)
    axes.grid(alpha=0.3)


def gain_panel(axes: plt.Axes, result: SensesResult) -> None:
    names = [word.task.word for word in result.words]
    for shift, (over, colour) in enumerate(zip(("static", "untrained", "left counts"), COLOURS, strict=False)):
        means = np.array([balanced_mean(word.gain(over), word.senses).mean() for word in result.words])
        ends = np.array([word.interval(over) for word in result.words]).T
        sides = np.maximum(np.abs(ends - means), 0)
        axes.errorbar(means, np.arange(len(names)) + 0.2 * (1 - shift), xerr=sides, fmt="o", ms=4, capsize=2,
                      color=colour, label=f"over {over}")  # fmt: skip
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="gain in balanced accuracy", title="best depth at the word")
    axes.legend(fontsize=7, loc="upper right")
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main()
