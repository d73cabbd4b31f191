"""Do embeddings and unembeddings of decoders trained on text follow its next- and previous-token signatures, and when?

Every cell is a subset of The Pile, a tokeniser trained on it and an architecture; `alignment_cells` trains and measures
it, `alignment_texts` counts the text, `alignment_strength` asks which pairs agree most.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby, product
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ..check import Check, Size
from ..measured import silent, spread
from .alignment_cells import CROSS, OWN, TABLES, Cell, Shape, Training, stored, train_cell
from .alignment_texts import BUILTIN, PLAIN, Text, text_of

NULLS = ("untrained", "shuffled", "mantel")
EARLY = 0.25
"""The share of training at which a course is called early."""
ASKED = {"embed": 0.40, "unembed": 0.55}
NAMES = {"embed": "W^E with next", "unembed": "W^U with previous"}


@dataclass(frozen=True)
class Setting:
    """Which cells are trained, and their shape.

    Attributes:
        cells: (subset, tokeniser, architecture); the first one is trained from several seeds.
        shape: of every cell.
        tied: whether the first cell is also trained with a tied head.
        asked: least R_cos of the tables with their own signatures in the cells of the first subset.
        times_cross: how often the cross value that must be.
    """

    cells: tuple[tuple[str, str, str], ...]
    shape: Shape
    tied: bool = False
    asked: tuple[tuple[str, float], ...] = tuple(ASKED.items())
    times_cross: float = 2.0

    def trainings(self, seeds: int) -> list[Training]:
        """All trainings, those on one text next to each other; every cell beside one on its shuffled text."""
        first = self.cells[0]
        found = [Training(*cell, shuffled=shuffled) for cell in self.cells for shuffled in (False, True)]
        found += [Training(*first, seed=seed) for seed in range(1, seeds)]
        found += [Training(*first, tied=True)] if self.tied else []
        return sorted(found, key=lambda training: self._texts.index((training.subset, training.tokenizer)))

    @property
    def _texts(self) -> list[tuple[str, str]]:
        return [cell[:2] for cell in self.cells]


SUBSETS = ("wikipedia_en", "pile_cc", "github")
SETTINGS = {
    "tiny": Setting(
        ((BUILTIN, "words", "qwen2"), (BUILTIN, "bytes", "llama")),
        Shape(
            vocab=512, width=32, layers=1, mlp_width=64, length=32, steps=320, warmup=10, learning_rate=5e-3,
            save_steps=(0, 10, 20, 40, 80, 160, 320), frequent=150, held_out=4000, resamples=200,
            quantiles=(0.5, 0.9, 0.99), halvings=2, contexts=64, characters=800_000,
        ),
        asked=(("embed", 0.2), ("unembed", 0.4)),
        times_cross=1.2,
    ),
    "normal": Setting(tuple(product(SUBSETS, ("bytes", "words"), ("qwen2", "llama"))), Shape(), tied=True),
}  # fmt: skip


@dataclass(frozen=True)
class AlignmentThroughTraining:
    """All cells.

    Attributes:
        size: of the study.
        setting: which cells.
        cells: by `Training`.
    """

    size: Size
    setting: Setting
    cells: dict[Training, Cell]

    @property
    def main(self) -> list[Cell]:
        """The cells of the table: trained on the text as it stands, first seed, untied."""
        return [self.cells[Training(*cell)] for cell in self.setting.cells]

    @property
    def seeds(self) -> list[Cell]:
        """The first cell's seeds."""
        first = Training(*self.setting.cells[0])
        same = (first.subset, first.tokenizer, first.architecture)
        found = [c for t, c in self.cells.items() if (t.subset, t.tokenizer, t.architecture) == same]
        return [cell for cell in found if not (cell.training.shuffled or cell.training.tied)]

    def over_seeds(self, name: str) -> Float[np.ndarray, " seed"]:
        """A course's value at the end, for the first cell's seeds."""
        return np.array([cell.last(name) for cell in self.seeds])

    def on_shuffled(self, cell: Cell) -> Cell:
        """The same network trained on the text shuffled within documents."""
        at = cell.training
        return self.cells[Training(at.subset, at.tokenizer, at.architecture, shuffled=True)]

    def limit(self, cell: Cell, table: str) -> float:
        """What a table's agreement must exceed: the 99th percentile of every null, and training on shuffled text."""
        name = f"{table} {OWN[table]}"
        # numpy's maximum hands an undefined null on, so that nothing passes beside it
        return float(np.max([*(cell.limit(name, null) for null in NULLS), self.on_shuffled(cell).last(name)]))

    def early(self, table: str, cells: list[Cell], share: float = EARLY) -> Float[np.ndarray, " seed"]:
        """Agreement at a share of training over agreement at its end, by cell."""
        name = f"{table} {OWN[table]}"
        return np.array([cell.at_share(name, share) / cell.last(name) for cell in cells])

    def rows(self) -> list[tuple[str, ...]]:
        """Every training's agreement at the end, in the order of `HEADER`."""
        return [self._row(cell) for cell in self.cells.values() if not cell.training.shuffled]

    def _row(self, cell: Cell) -> tuple[str, ...]:
        at = cell.training
        own = [
            f"{cell.last(f'{table} {OWN[table]}'):.2f} / {cell.last(f'{table} {OWN[table]}{PLAIN}'):.2f}"
            for table in TABLES
        ]
        cross = ", ".join(f"{cell.last(f'{table} {CROSS[table]}'):.2f}" for table in TABLES)
        nulls = [", ".join(f"{cell.limit(f'{table} {OWN[table]}', null):.3f}" for table in TABLES) for null in NULLS]
        other = ", ".join(f"{self.on_shuffled(cell).last(f'{table} {OWN[table]}'):.3f}" for table in TABLES)
        early = ", ".join(f"{self.early(table, [cell])[0]:.2f}" for table in TABLES)
        seed = f"{at.seed}{', tied' if at.tied else ''}"
        return (
            at.subset,
            at.tokenizer,
            at.architecture,
            seed,
            f"{cell.last('held'):.2f}",
            *own,
            cross,
            *nulls,
            other,
            early,
        )

    @property
    def strength_header(self) -> tuple[str, ...]:
        above = (f"> {100 * quantile:g} %" for quantile in self.setting.shape.quantiles)
        return ("cell", "table", *above, *STRENGTH_ENDS)

    def strength_rows(self) -> list[tuple[str, ...]]:
        """Agreement by strength of the pair, in the order of `strength_header`."""
        return [_strength_row(cell, table) for cell in self.main for table in TABLES]

    def layer_rows(self) -> list[tuple[str, ...]]:
        """Agreement of the states at every depth, in the order of `LAYER_HEADER`."""
        return [row for cell in self.main for row in _layer_rows(cell)]

    def checks(self) -> list[Check]:
        """What is asked of the figures; at size tiny smaller numbers."""
        first = self.setting.cells[0][0]
        wanted = [cell for cell in self.main if cell.training.subset == first]
        found = [self._null_check(subset) for subset in dict.fromkeys(cell[0] for cell in self.setting.cells)]
        found += [check for cell in wanted for check in (self._level_check(cell), self._cross_check(cell))]
        return [*found, self._excess_check()]

    def _null_check(self, subset: str) -> Check:
        both = [(cell, table) for cell in self.main if cell.training.subset == subset for table in TABLES]
        pairs = [(cell.last(f"{table} {OWN[table]}"), self.limit(cell, table)) for cell, table in both]
        value, limit = min(pairs, key=lambda pair: pair[0] - pair[1])
        above = sum(value > limit for value, limit in pairs)
        got = f"{above} of {len(pairs)}; closest {value:.2f} against {limit:.3f}"
        asked = "all above the 99th percentiles of untrained networks, shuffled corpora and relabelled tokens"
        return Check(f"{subset}: beyond its nulls", asked, got, above == len(pairs))

    def _level_check(self, cell: Cell) -> Check:
        values = {table: min(self._over(cell, f"{table} {OWN[table]}")) for table, _ in self.setting.asked}
        asked = ", ".join(f"{NAMES[table]} >= {least:.2f}" for table, least in self.setting.asked)
        got = ", ".join(f"{value:.3f}" for value in values.values())
        passed = all(values[table] >= least for table, least in self.setting.asked)
        return Check(f"{_title(cell)}: R_cos, centred", asked, got, passed)

    def _cross_check(self, cell: Cell) -> Check:
        own = {table: min(self._over(cell, f"{table} {OWN[table]}")) for table in TABLES}
        cross = {table: max(self._over(cell, f"{table} {CROSS[table]}")) for table in TABLES}
        got = ", ".join(f"{own[table]:.2f} against {cross[table]:.2f}" for table in TABLES)
        passed = all(own[table] >= self.setting.times_cross * cross[table] for table in TABLES)
        return Check(f"{_title(cell)}: own against cross", f">= {self.setting.times_cross:g} times", got, passed)

    def _over(self, cell: Cell, name: str) -> list[float]:
        """A cell's value at the end, over its seeds."""
        cells = self.seeds if cell.training == self.seeds[0].training else [cell]
        return [other.last(name) for other in cells]

    def _excess_check(self) -> Check:
        """A rising mean follows from any positive correlation; only the excess says that strong pairs agree more."""
        found = [cell.strength(table).strongest_excess for cell in self.main for table in TABLES]
        got, decided = _decided(found, "confirm", "contradict")
        name = f"strong pairs (above {100 * self.setting.shape.quantiles[-1]:g} %) agree more than one line says"
        return Check(name, "decided by its interval for every table", got, decided)

    def early_lines(self) -> list[str]:
        """How much of the final agreement is there early in training, over cells and over seeds of one."""
        return [self._early_line(table) for table in TABLES]

    def _early_line(self, table: str) -> str:
        everywhere, repeated = self.early(table, self.main), self.early(table, self.seeds)
        spread_out = (
            f"{_mean(everywhere)} over {len(everywhere)} cells; {_mean(repeated)} over {len(repeated)} seeds of one"
        )
        return f"{NAMES[table]}: share of the end at {100 * EARLY:g} % of training {spread_out}"


HEADER = (
    "subset", "tokeniser", "model", "seed", "held-out loss", "W^E, next: centred / plain",
    "W^U, previous: centred / plain", "cross E, U", "untrained 99 %", "shuffled signatures 99 %", "Mantel 99 %",
    "trained on shuffled", "share at 25 %",
)  # fmt: skip
STRENGTH_ENDS = (
    "trend [95 %]", "excess of the strongest [95 %]", "same 10 neighbours (99 % null)", "R_cos [95 %, tokens]",
    "sd, documents", "reliability",
)  # fmt: skip
LAYER_HEADER = ("cell", "states", "signature", "by depth: embedding, blocks, last norm", "untrained")


def alignment_through_training(
    size: Size,
    seeds: int = 3,
    progress: Callable[[str], None] = silent,
    *,
    folder: Path | None = None,
    backwards: bool = False,
) -> AlignmentThroughTraining:
    """Train every cell, or read it from the folder, and measure its alignment beside its nulls.

    Args:
        size: "tiny" (Python's documentation, two small cells, seconds) or "normal" (three subsets of The Pile, two
            tokenisers, two architectures; needs JAXEMBED_DATA).
        seeds: of initialisation and data order, for the first cell.
        progress: called with a line of text after each cell.
        folder: where cells are kept as they finish; a second call trains only those that are missing.
        backwards: start from the last cell, so that a second process on another core, with the same folder, meets the
            first one half-way.

    Raises:
        ValueError: where the text is missing, or the folder holds cells of other settings.

    Source: yao2025probability.
    """
    return carried_out(size, SETTINGS[size], seeds, progress, folder=folder, backwards=backwards)


def carried_out(
    size: Size,
    setting: Setting,
    seeds: int,
    progress: Callable[[str], None] = silent,
    *,
    folder: Path | None = None,
    backwards: bool = False,
) -> AlignmentThroughTraining:
    """The study with settings of one's own."""
    cells: dict[Training, Cell] = {}
    trainings = setting.trainings(seeds)
    order = trainings[::-1] if backwards else trainings
    for place, group in groupby(order, key=lambda training: (training.subset, training.tokenizer)):
        text: Text | None = None
        for training in group:
            cell = stored(training, setting.shape, folder)
            if cell is None:
                text = text or _text(*place, setting.shape, progress)
                cell = train_cell(training, setting.shape, text)
                if folder is not None:
                    cell.save(folder)
            cells[training] = cell
            progress(f"{len(cells)} of {len(trainings)}: {_said(cell)}")
    return AlignmentThroughTraining(size, setting, {training: cells[training] for training in trainings})


def _text(subset: str, tokenizer: str, shape: Shape, progress: Callable[[str], None]) -> Text:
    progress(f"{subset}, {tokenizer}: encoding and counting")
    return text_of(
        subset,
        tokenizer,
        vocab=shape.vocab,
        frequent=shape.frequent,
        held_out=shape.held_out,
        shuffles=shape.draws,
        halvings=shape.halvings,
        characters=shape.characters,
    )


def _said(cell: Cell) -> str:
    own = ", ".join(f"{NAMES[table]} {cell.last(f'{table} {OWN[table]}'):.3f}" for table in TABLES)
    speed = f"{cell.facts['tokens_per_second']:,.0f} tokens/s"
    return f"{cell.training.name}: {own}; held-out loss {cell.last('held'):.2f}, {speed}"


def _title(cell: Cell) -> str:
    return f"{cell.training.subset}, {cell.training.tokenizer}, {cell.training.architecture}"


def _strength_row(cell: Cell, table: str) -> tuple[str, ...]:
    found, name = cell.strength(table), f"{table} {OWN[table]}"
    halves = cell.values[f"{name} halves"]
    half = np.mean(cell.values[f"{OWN[table]} reliability"])
    whole = 2 * half / (1 + half)  # Spearman and Brown: the reliability of both halves together
    low, high = cell.values[f"{name} interval"]
    shared, by_chance = cell.values[f"{table} overlap"]
    return (
        _title(cell),
        f"{NAMES[table]}",
        *(f"{mean:.2f}" for mean in found.means[0]),
        _interval(*found.trend),
        _interval(*found.strongest_excess),
        f"{shared:.2f} ({by_chance:.3f})",
        f"{cell.last(name):.2f} [{low:.2f}, {high:.2f}]",
        f"{halves.std(ddof=1):.3f}",
        f"{whole:.2f}",
    )


def _layer_rows(cell: Cell) -> list[tuple[str, ...]]:
    rows = []
    for kind, name in product(("alone", "context"), ("next", "previous")):
        course = cell.values[f"{kind} {name}"]
        before = course[0] if kind == "context" else np.quantile(cell.values[f"alone {name} untrained"], 0.99, axis=0)
        said = ", ".join(f"{value:.2f}" for value in course[-1]), ", ".join(f"{value:.2f}" for value in before)
        rows.append((_title(cell), kind, name, *said))
    return rows


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _mean(values: np.ndarray) -> str:
    return spread(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else float("nan"))


def _decided(found: list[tuple[float, float, float]], up: str, down: str) -> tuple[str, bool]:
    """How many intervals lie above and below zero, and whether all lie on one side of it."""
    rising, falling = sum(low > 0 for _, low, _ in found), sum(high < 0 for _, _, high in found)
    value, low, high = min(found, key=lambda triple: triple[1])
    said = f"{rising} {up}, {falling} {down} of {len(found)}; lowest {_interval(value, low, high)}"
    return said, rising + falling == len(found)
