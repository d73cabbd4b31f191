"""From the embedding to the next token: lenses of every layer, and single-token predictions, along training.

`python benchmarks/figures/lens.py --keep FOLDER` reads decoders trained on The Pile at every saved step (and trains
them first where FOLDER does not hold them: an hour and more on two cores), writes the figure and the tables, and exits
non-zero where a figure falls short; about ten minutes on one core once they are trained. Needs JAXEMBED_DATA.
`--size tiny` trains its own on Python's documentation, some ten seconds. A killed run goes on from FOLDER.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from _drawing import COLOURS, band, plt, save
from _generated import stamped_markdown
from common import KEEP, arguments, finish, show
from matplotlib import colormaps

from jaxembed.studies.language.lens import (
    EVENT_HEADER,
    HEADER,
    MOTION_HEADER,
    STEP_HEADER,
    LensResult,
    layer_name,
    lens_study,
)
from jaxembed.studies.language.lens_cells import REFERENCES
from jaxembed.studies.language.lens_early import GUESSES, SHUFFLED, THEORIES


def main() -> None:
    args = arguments(__doc__.splitlines()[0], keep=KEEP)
    result = lens_study(args.size, keep=args.keep, progress=lambda line: print(line, flush=True))
    show("read at every layer", HEADER, result.rows(), width=200)
    show("single tokens: directions of their logits' motion, mean correlation", MOTION_HEADER, result.motion_rows())
    show("when single-word predictions pass each mark", EVENT_HEADER, result.event_rows())
    command = f"python benchmarks/figures/lens.py --size {args.size}"
    tables = {
        "lens": (HEADER, result.rows()),
        "lens_steps": (STEP_HEADER, result.step_rows()),
        "lens_events": (EVENT_HEADER, result.event_rows()),
        "lens_motion": (MOTION_HEADER, result.motion_rows()),
    }
    for name, (header, rows) in tables.items():
        stamped_markdown(args.out / f"{name}.md", header, rows, command, note_on(result))
    draw(result, args.out / "lens.png")
    finish("from embedding to next token", result.checks())


def note_on(result: LensResult) -> str:
    """What was read, and what the intervals are over."""
    setting, seeds = result.setting, len(result.plain)
    counts = ", ".join(f"{name} {loss:.2f}" for name, loss in result.floors.items())
    nulls = ", ".join(f"{name} {value:.2f}" for name, value in result.divergences.items())
    return (
        f"{result.size}; {seeds} seeds (init and data order), 95 % intervals over them; {setting.sequences} held-out "
        f"sequences of {setting.length} words; {setting.tokens} most frequent words alone; held-out loss of counts "
        f"(Witten-Bell): {counts}; KL(bigram || reference): {nulls}; R_cos with the bigrams: "
        + ", ".join(f"{name} {value:.2f}" for name, value in result.r_cos.items())
        + "; rank correlation with the bigram counts: "
        + ", ".join(f"{name} {value:.2f}" for name, value in result.spearmans.items())
    )


def draw(result: LensResult, path: Path) -> None:
    figure, axes = plt.subplots(2, 3, figsize=(17, 9.5), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.07, 1, 0.93))
    depth_panel(axes[0, 0], result)
    entropy_panel(axes[0, 1], result)
    layers_panel(axes[0, 2], result)
    loss_panel(axes[1, 0], result)
    reference_panel(axes[1, 1], result)
    motion_panel(axes[1, 2], result)
    for axis in axes.ravel():
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    for axis in axes.ravel()[2:]:
        axis.set_xscale("symlog", linthresh=float(result.words[1]))
        axis.set_xlim(left=0)
        axis.set_xlabel("words seen (0: untrained)")
    setting = result.setting
    caption = (
        f"{len(result.plain)} seeds of init and data order (bands: smallest to largest); {setting.sequences} held-out "
        f"sequences of {setting.length} words;\nsingle tokens: the {setting.tokens} most frequent words; learned lens: "
        f"{setting.fit.steps} updates of {setting.fit.batch} x {setting.fit.length} training words. "
    )
    save(figure, path, caption)


def depth_panel(axes: plt.Axes, result: LensResult) -> None:
    """KL to the final distribution by depth: trained and untrained, plain and learned, with nulls and theory."""
    layers = np.arange(result.layers("divergence").shape[2] - 1)  # the last is zero by definition
    for at, name, colour in ((-1, "trained", COLOURS[0]), (0, "untrained", COLOURS[1])):
        band(axes, layers, result.layers("divergence")[:, at, :-1], f"{name}, plain lens", colour)
        band(axes, layers, result.fitted("divergence")[:, at, :-1], f"{name}, learned lens", colour, "--")
        for null, style in (("unigram", "-."), ("uniform", ":")):
            level = result.layers(null)[:, at].mean()
            axes.axhline(level, color=colour, linewidth=0.8, linestyle=style, label=f"{name}, {null} distribution")
    axes.plot(layers, result.angle().mean(axis=0)[:-1], "x", color="black", label="untrained, by angle (R5)")
    axes.set(yscale="log", xlabel="read at", ylabel="KL(final || layer), nats", title="KL to the final distribution")
    axes.set_xticks(layers, [layer_name(int(layer)) for layer in layers])


def entropy_panel(axes: plt.Axes, result: LensResult) -> None:
    """Entropy by depth, one line per saved step."""
    entropy = result.layers("entropy").mean(axis=0)
    colours = colormaps["viridis"](np.linspace(0, 0.95, len(result.steps)))
    for at, step in enumerate(result.steps):
        label = f"{step} updates" if at % 3 == 0 or at == len(result.steps) - 1 else None
        axes.plot(entropy[at], color=colours[at], label=label)
    axes.set(xlabel="read at", ylabel="entropy, nats", title="how sharp: entropy by depth, along training")
    axes.set_xticks(range(entropy.shape[1]), [layer_name(layer) for layer in range(entropy.shape[1])])


def layers_panel(axes: plt.Axes, result: LensResult) -> None:
    """KL to the final distribution along training, one line per layer."""
    divergence = result.layers("divergence")
    for layer in range(divergence.shape[2] - 1):
        band(axes, result.words, divergence[:, :, layer], layer_name(layer), COLOURS[layer % len(COLOURS)])
    for null, style in (("unigram", "-."), ("uniform", ":")):
        axes.plot(result.words, result.layers(null).mean(axis=0), style, color="black", linewidth=1, label=null)
    axes.set(ylabel="KL(final || layer), nats", title="plain lens along training")


def loss_panel(axes: plt.Axes, result: LensResult) -> None:
    """Held-out loss of the model, of its first layer and of the model reading one token, with the floors of counts."""
    loss = result.layers("loss")
    band(axes, result.words, loss[:, :, -1], "in context", COLOURS[0])
    band(axes, result.words, result.single("loss"), "reading one token", COLOURS[1])
    band(axes, result.words, loss[:, :, 0], "read at the embedding", COLOURS[2])
    for name, style in zip(result.floors, (":", "-.", "--", "-"), strict=True):
        axes.axhline(result.floors[name], color="black", linewidth=0.8, linestyle=style, label=f"{name} counts")
    axes.set(ylabel="held-out loss, nats", title="held-out loss and the floors of counts")


def reference_panel(axes: plt.Axes, result: LensResult) -> None:
    """How far single-token predictions are from each reference."""
    for name, colour in zip(REFERENCES, COLOURS, strict=False):
        band(axes, result.words, result.single("alone", name), f"{name}", colour)
    band(axes, result.words, result.single("context", "bigram"), "bigram, word in context", "black", "--")
    axes.axhline(result.divergences["unigram"], color=COLOURS[2], linewidth=0.8, linestyle="-.",
                 label="KL(bigram || unigram)")  # fmt: skip
    axes.set(ylabel="KL(reference || model reading one word)", title="single-word predictions beside counts")


def motion_panel(axes: plt.Axes, result: LensResult) -> None:
    """Correlation of the motion of single-token logits with what theory and counts say."""
    for name, colour in zip((*THEORIES, *GUESSES), COLOURS, strict=False):
        band(axes, result.words[1:], result.single("motion", name)[:, 1:], name, colour)
        values = result.single("motion", name + SHUFFLED)[:, 1:].mean(axis=0)
        axes.plot(result.words[1:], values, ":", color=colour, linewidth=1)
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set(ylabel="correlation (dotted: shuffled corpus)", title="which way single-word logits have moved")


if __name__ == "__main__":
    main()
