"""Does theory help training? Held-out loss from signatures and from the usual start, and the steps saved.

`python benchmarks/figures/signature_start.py` searches form, norm and learning rate, trains every start on
wikipedia_en (JAXEMBED_DATA names the folder that holds pile/), prints steps saved at equal held-out loss with their
spread over seeds, and writes figure and tables; about 45 minutes on two cores, `--size tiny` half a minute. With
`--keep FOLDER` a stopped script goes on where it was. All that is searched is chosen on short schedules of 60 steps,
by the held-out tokens that the gains are reported on; the tables say so.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from _drawing import COLOURS, band, markdown, plt, save
from common import KEEP, arguments, finish, show

from jaxembed.studies.language.signature_start import ALL, HEADER, RIVALS, Curves, SignatureStart, signature_start
from jaxembed.studies.language.start_search import SEARCH_HEADER

COLOUR_OF = dict(zip((*ALL, "permuted"), (*COLOURS, "goldenrod", "deeppink", "darkcyan"), strict=False))


def main() -> None:
    args = arguments(__doc__.splitlines()[0], keep=KEEP)
    if args.size == "normal" and "JAXEMBED_DATA" not in os.environ:
        raise SystemExit("signature start: set JAXEMBED_DATA to the folder that holds pile/, or use --size tiny")
    result = signature_start(args.size, progress=lambda line: print(line, flush=True), cells=args.keep)
    trials = [trial.row() for trial in result.search.trials]
    chosen, gained = result.search.lines(), [*result.ends(), *result.notes()]
    show("search (one seed that is not reported)", SEARCH_HEADER, trials)
    show("steps saved at equal held-out loss (95 % interval over seeds)", HEADER, result.rows())
    print(*chosen, *gained, sep="\n")
    table(args.out / "signature_start.md", HEADER, result.rows(), gained)
    table(args.out / "signature_start_search.md", SEARCH_HEADER, trials, [*chosen, *result.notes()])
    draw(result, args.out / "signature_start.png")
    finish("signature start", result.checks())


def table(path: Path, header: tuple[str, ...], rows: list[tuple[str, ...]], notes: list[str]) -> None:
    """A table with a list of notes below it."""
    markdown(path, header, rows)
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" + "".join(f"- {note}\n" for note in notes))


def draw(result: SignatureStart, path: Path) -> None:
    shown = list(result.curves.values())
    figure, panels = plt.subplots(2, len(shown), figsize=(5 * len(shown), 8), layout="constrained", squeeze=False)
    figure.get_layout_engine().set(rect=(0, 0.06, 1, 0.94))
    for column, curves in zip(panels.T, shown, strict=True):
        loss_panel(column[0], curves)
        gain_panel(column[1], curves)
    setting, model, rates = result.plan.bench, result.plan.bench.model, result.search.rates
    caption = (
        f"{setting.subset}, byte-level BPE of {setting.vocab}, decoder of width {model.width}, {model.layers} layers, "
        f"{setting.batch} x {setting.length} tokens a step, AdamW at {rates['standard']:g} (standard) and "
        f"{rates['signatures']:g}, warm-up and cosine; {result.search.form};\n"
        f"all chosen on {result.plan.grid.steps} steps by the same held-out tokens; "
        "band: smallest to largest over seeds (init and data order). "
    )
    save(figure, path, caption)


def loss_panel(axes: plt.Axes, curves: Curves) -> None:
    for start, held in curves.held.items():
        band(axes, curves.steps, held, f"{start} ({len(held)} seeds)", COLOUR_OF[start])
    axes.set(xlabel="step", ylabel="held-out loss (nats per token)")
    axes.set_title(f"{curves.schedule.name}: {curves.tokens:,} tokens", fontsize=10)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def gain_panel(axes: plt.Axes, curves: Curves) -> None:
    for start in curves.held:
        if start != "standard":
            rival = RIVALS.get(start, ("standard",))[0]
            label = start if rival == "standard" else f"{start}\n(against {rival})"
            band(axes, curves.steps, curves.gain(start, rival), label, COLOUR_OF[start])
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.set(xlabel="step", ylabel="nats below the standard start (or that named)")
    axes.legend(fontsize=7, framealpha=0.5)
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main()
