"""What every figure and speed script shares.

A figure script is its docstring, a draw function and `main(STUDY, draw)`: arguments, tables, figure, evidence and exit
code are here. A speed script prints its own figures with `arguments`, `show` and `finish`.
"""

import argparse
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import jax
import matplotlib
import numpy as np
from matplotlib.animation import Animation
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from rich.console import Console

from jaxembed.studies import Study, evidence_table, short, unmet
from jaxembed.tables import Table

FIGURES = Path(__file__).parent / "results"


KEEP: dict[str, Any] = {"type": Path, "help": "folder of what a run has finished, from which a killed one goes on"}


def arguments(
    description: str, sizes: Sequence[str] = ("tiny", "normal"), **own: Mapping[str, Any]
) -> argparse.Namespace:
    """`--size`, `--out FOLDER` and the script's own; float64 is switched on for the process.

    Args:
        description: one line.
        sizes: that may be chosen.
        own: by option, what `add_argument` takes for it.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--size", choices=sizes, default="normal", help="tiny runs the path in seconds")
    parser.add_argument("--out", type=Path, default=FIGURES, help="folder for figures and tables")
    for name, told in own.items():
        parser.add_argument(f"--{name.replace('_', '-')}", **told)
    jax.config.update("jax_enable_x64", True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)  # before the work, which may take hours
    return args


@dataclass(frozen=True)
class Check:
    """One figure of a speed script: what was asked, what came out with what varied, whether that is enough.

    Where `unenforced` says why, a figure that falls short is shown and does not decide the exit code.
    """

    name: str
    asked: str
    got: str
    passed: bool
    unenforced: str = ""

    @property
    def verdict(self) -> str:
        word = "ok" if self.passed else "SHORT"
        return f"{word}, not enforced: {self.unenforced}" if self.unenforced else word


def show(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], width: int = 160) -> None:
    """Print a table."""
    Console(width=width).print(Table(title, header, rows).rich())


def checks_table(title: str, checks: Sequence[Check]) -> Table:
    """Every figure with what was asked."""
    rows = [(check.name, check.asked, check.got, check.verdict) for check in checks]
    return Table(title, ("figure", "asked", "got", ""), rows)


def finish(title: str, checks: Sequence[Check]) -> None:
    """Print every figure with what was asked and leave with 1 where one that is enforced falls short."""
    device = f"jax {jax.__version__}, {jax.devices()[0].device_kind}"
    Console(width=160).print(checks_table(f"{title} ({device})", checks).rich())
    short_of = [check.name for check in checks if not (check.passed or check.unenforced)]
    if short_of:
        print(f"{len(short_of)} of {len(checks)} figures fall short: {'; '.join(short_of)}", file=sys.stderr)
    raise SystemExit(1 if short_of else 0)


def write_page(path: Path, parts: Sequence[str | Table]) -> None:
    """Write paragraphs and tables as a page, in a folder that is made for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    told = [part.markdown().rstrip() if isinstance(part, Table) else part for part in parts]
    path.write_text("\n\n".join(told) + "\n", encoding="utf-8")


COLOURS = ("#0b6fa4", "#d9541e", "#3a8f3a", "#7b52ab", "#555555")
OLD_SIZES = {"normal": "default", "full": "published"}
"""Sizes as they were called before; still taken, with a line that says so."""
Draw = Callable[[Any, Figure], None]
Film = Callable[[Any, Figure], Animation]


def main(study: Study, *draws: Draw, film: Film | None = None, **own: Mapping[str, Any]) -> None:
    """Run a study at the asked size, print and write its tables and figures, and leave with 1 where machinery fails.

    A paper's claim or an expectation of ours that does not hold is printed as such, and is no failure.

    Args:
        study: what to run.
        draws: each draws the result onto an empty figure of its own; the first is named after the study, the others
            after what follows `draw_` in their name.
        film: animates the result on a figure of its own; written as a GIF.
        own: options of the script, by the field of the setting that each replaces: what `add_argument` takes for it.
    """
    args = study_arguments(study, own)
    if args.given:
        study = replace(study, settings={**study.settings, args.size: replace(study.settings[args.size], **args.given)})
    result = study.result(args.size, seeds=args.seeds, keep=args.keep, progress=_say)
    console = Console(width=160)
    suffix = "" if args.size in ("tiny", study.default) else f"_{args.size}"
    seeds = study.seeds[args.size] if args.seeds is None else args.seeds
    stamp = f"{date.today().isoformat()}, {jax.devices()[0].device_kind}, jax {jax.__version__}, `{args.command}`"
    sizes = f"size {args.size}, {seeds} seeds"
    for table in study.tables(result):
        console.print(table.rich())
        path = args.out / f"{study.name}{_part(table.name)}{suffix}.md"
        note = f"; {table.note}" if table.note else ""
        path.write_text(f"{stamp}; {sizes}{note}\n\n{table.markdown()}", encoding="utf-8")
        print(f"table: {path}")
    for draw in draws or ([study.draw] if study.draw else []):
        name = draw.__name__.removeprefix("draw").strip("_")
        save(draw, result, args.out / f"{study.name}{_part(name)}{suffix}.png", f"{study.caption(result)} {sizes}.")
    if film is not None:
        path = args.out / f"{study.name}{suffix}.gif"
        figure = FigureCanvasAgg(Figure(layout="constrained")).figure  # another canvas draws equal frames unequally
        film(result, figure).save(path, writer="pillow", dpi=75)
        print(f"film: {path}")
    rows = study.evidence(result)
    title = f"{study.name}, {sizes} (jax {jax.__version__}, {jax.devices()[0].device_kind})"
    console.print(evidence_table(title, rows, args.size, study.smaller.get(args.size, "")).rich())
    missed = unmet(rows, args.size)
    if missed:
        print(f"{len(missed)} claims do not hold at this size: {'; '.join(missed)}")
    failed = short(rows)
    if failed:
        print(f"{len(failed)} checks of the machinery fail: {'; '.join(failed)}", file=sys.stderr)
    raise SystemExit(1 if failed else 0)


def study_arguments(study: Study, own: Mapping[str, Mapping[str, Any]]) -> argparse.Namespace:
    """`--size`, `--seeds`, `--out`, `--keep` and the script's own, gathered in `given` where they were given.

    `command` is how it was called, but for paths.
    """
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__, formatter_class=_Help)
    takes = ", ".join(f"{size} {study.takes[size]}" for size in study.settings)
    parser.add_argument("--size", default=study.default, choices=[*study.settings, *OLD_SIZES], help=takes)
    parser.add_argument("--seeds", type=int, help="how many; unless given, what the study takes at that size")
    parser.add_argument("--out", type=Path, default=FIGURES, help="folder for figures and tables")
    parser.add_argument("--keep", **KEEP)
    for name, told in own.items():
        parser.add_argument(f"--{name.replace('_', '-')}", **told)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)  # before the work, which may take hours
    if args.size in OLD_SIZES:
        new = study.default if OLD_SIZES[args.size] == "default" else study.largest
        print(f"size {args.size} is called {new} now", file=sys.stderr)
        args.size = new
    found = {name: getattr(args, name) for name in own}
    args.given = {name: tuple(x) if isinstance(x, list) else x for name, x in found.items() if x is not None}
    numbers = {"seeds": args.seeds} | {name: x for name, x in found.items() if not isinstance(x, str)}
    more = "".join(f" --{name}{_plain(x)}" for name, x in numbers.items() if x is not None)
    args.command = f"python benchmarks/figures/{Path(sys.argv[0]).name} --size {args.size}{more}"
    jax.config.update("jax_enable_x64", True)
    return args


def save(draw: Draw, result: Any, path: Path, caption: str) -> None:
    """Draw a result and write the figure over a caption that says what was computed with what."""
    with matplotlib.rc_context():
        figure = Figure(layout="constrained")
        draw(result, figure)
        told = f"{caption} jax {jax.__version__}, {jax.devices()[0].device_kind}."
        figure.supxlabel(_wrapped(told, int(17 * figure.get_figwidth())), fontsize=8)
        figure.savefig(path, dpi=150)
    print(f"figure: {path}")


def cosine_panel(axes: Axes, cosines: np.ndarray, title: str, first: int = 1) -> AxesImage:
    """A cosine matrix with its token numbers, on the scale -1 .. 1."""
    last = first + len(cosines) - 1
    image = axes.imshow(
        cosines, vmin=-1, vmax=1, cmap="RdBu_r", extent=(first - 0.5, last + 0.5, last + 0.5, first - 0.5)
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(title, fontsize=9)
    axes.tick_params(labelsize=7)
    return image


def band(axes: Axes, x: np.ndarray, values: np.ndarray, label: str, colour: str, style: str = "-") -> None:
    """Mean over seeds `[seed, time]` as a line, smallest to largest as a band."""
    axes.plot(x, values.mean(axis=0), style, color=colour, label=label, linewidth=1.5)
    axes.fill_between(x, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.2, linewidth=0)


class _Help(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """The script's docstring as it stands, and defaults."""


def _say(text: str, share: float | None = None, /) -> None:
    print(text if share is None else f"{text}: {share:.0%}", flush=True)


def _plain(value: Any) -> str:
    """An option's value as it was typed; a flag has none."""
    return "" if value is True else f" {' '.join(map(str, value))}" if isinstance(value, list) else f" {value}"


def _part(name: str) -> str:
    return f"_{name}" if name else ""


def _wrapped(text: str, width: int) -> str:
    return "\n".join("\n".join(textwrap.wrap(line, width)) for line in text.splitlines())
