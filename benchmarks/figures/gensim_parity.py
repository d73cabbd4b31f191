"""Our skip-gram beside gensim's: similarity (MEN) on the same corpus and settings, over seeds.

`python benchmarks/figures/gensim_parity.py --keep FOLDER` trains both on twelve domains of The Pile (6.8 M lower-cased
words, those seen 5 times or more), with three seeds each, at gensim's defaults for skip-gram (d 100, window 5) and at
d 200, window 10; 5 epochs, 5 negatives, frequent words thinned at 1e-3, rate from 0.025 down, two threads each. About
20 minutes on two idle cores; with `--keep` a killed run goes on. Needs JAXEMBED_DATA and gensim
(`pip install 'jaxembed[peers,text]'`, or `--gensim-python` of an environment that has it). `--size tiny` runs our side
on Python's documentation in seconds, without gensim and without data.
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import COLOURS, main
from matplotlib.figure import Figure
from word_sides import GENSIM_PYTHON, Made, Side, analogies, corpus, make, similarity

from jaxembed.studies import Bound, Evidence, Run, Study
from jaxembed.studies.study import DATA
from jaxembed.tables import Table, interval

GENSIM, OURS = "gensim skip-gram", "our skip-gram"
HEADER = (
    "settings", "side", "MEN, mean over seeds", "seeds", "MEN of the first seed, interval over pairs", "pairs covered",
    "Google analogies", "seconds a seed",
)  # fmt: skip
FREQUENT = 50
"""Words left out of the tiny check: they stand beside all others."""
TINY = {"width": 10, "window": 3, "epochs": 1, "seed": 1}


@dataclass(frozen=True)
class ParitySetting:
    """Widths and windows by name, and the Python that has gensim; without any, our side alone runs on a small text."""

    options: tuple[tuple[str, int, int], ...] = (("d 100, window 5", 100, 5), ("d 200, window 10", 200, 10))
    gensim_python: str = sys.executable


@dataclass(frozen=True)
class Parity:
    """What both sides made, by (settings, side); of a small text the cosines of neighbours and of strangers."""

    setting: ParitySetting
    runs: dict[tuple[str, str], list[Made]]
    cosines: tuple[float, float] | None = None

    def scores(self, settings: str, side: str) -> np.ndarray:
        return np.array([similarity(made.vectors).rho for made in self.runs[settings, side]])


def run(setting: ParitySetting, run: Run) -> Parity:
    with tempfile.TemporaryDirectory() as temporary:
        folder = run.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        text = corpus(bool(setting.options), folder, run.progress)
        if not setting.options:
            return Parity(setting, {}, neighbour_cosines(text, folder))
        runs: dict[tuple[str, str], list[Made]] = {}
        for name, width, window in setting.options:
            for seed in range(1, run.seeds + 1):
                theirs = {"sg": 1, "vector_size": width, "window": window, "seed": seed}
                ours = {"width": width, "window": window, "seed": seed}
                for side, kind, options in ((GENSIM, "gensim", theirs), (OURS, "skip_gram", ours)):
                    what = Side(f"{side}, {name}, seed {seed}", kind, options)
                    made = make(what, text, folder, setting.gensim_python)
                    if made is not None:
                        runs.setdefault((name, side), []).append(made)
                        run.progress(f"{what.name}: MEN {similarity(made.vectors).rho:.3f}")
        return Parity(setting, runs)


def neighbour_cosines(text: Path, folder: Path) -> tuple[float, float]:
    """Of a text that has no question's words: neighbours in it are more alike than strangers."""
    made = make(Side("skip-gram", "skip_gram", TINY), text, folder, sys.executable)
    assert made is not None
    vectors, rng = made.vectors, np.random.default_rng(0)
    unit = vectors.matrix / np.linalg.norm(vectors.matrix, axis=1, keepdims=True)
    ids = np.array([vectors.ids.get(word, -1) for word in text.read_text(encoding="utf-8").split()])
    ids = ids[ids >= FREQUENT]
    beside, strangers = (ids[:-1], ids[1:]), (ids, rng.permutation(ids))
    near, null = (float(np.sum(unit[a] * unit[b], axis=1).mean()) for a, b in (beside, strangers))
    return near, null


def tables(result: Parity) -> tuple[Table, ...]:
    """A line a setting and side."""
    if result.cosines is not None:
        near, null = (f"{cosine:.3f}" for cosine in result.cosines)
        return (Table("our side alone, on Python's documentation", ("neighbours", "shuffled"), [(near, null)]),)
    versions = {side: made[0].facts["version"] for (_, side), made in result.runs.items()}
    note = "; ".join(f"{side}: {version}" for side, version in versions.items())
    rows = [_row(result, *place) for place in result.runs]
    return (Table("similarity to people's scores", HEADER, rows, note),)


def _row(result: Parity, settings: str, side: str) -> tuple[str, ...]:
    men, made = result.scores(settings, side), result.runs[settings, side]
    first, google = similarity(made[0].vectors), [analogies(one.vectors).total.accuracy for one in made]
    return (
        settings, side, interval(men, ".3f"), ", ".join(f"{x:.3f}" for x in men),
        f"{first.rho:.3f} [{first.low:.3f}, {first.high:.3f}]", f"{first.covered:,} of {first.pairs:,}",
        f"{np.mean(google):.1%}", f"{np.mean([one.facts['seconds'] for one in made]):.0f}",
    )  # fmt: skip


def evidence(result: Parity) -> tuple[Evidence, ...]:
    """Our mean against the least of gensim's seeds; of a small text, neighbours against strangers."""
    if result.cosines is not None:
        near, null = result.cosines
        bound = Bound("machinery", least=null, source="shuffled", strict=True)
        claim = "mean cosine of neighbours in the text"
        return (Evidence("parity-neighbours", claim, np.array([near]), bound, null=np.array([null])),)
    there = [name for name, *_ in result.setting.options if (name, GENSIM) in result.runs]
    compared = np.array([len(there) / len(result.setting.options)])
    rows = [Evidence("parity-compared", "settings at which gensim is there to compare with (share)", compared,
                     Bound("machinery", least=1.0), no_null="it counts settings", ceiling="1")]  # fmt: skip
    for name in there:
        theirs = result.scores(name, GENSIM)
        least = Bound("machinery", least=theirs.min(), source=f"the least of gensim's {len(theirs)} seeds")
        rows.append(Evidence(f"parity-{name.split(',')[0].replace(' ', '-')}", f"MEN, {name}: our skip-gram",
                             result.scores(name, OURS), least, no_null="gensim's is the comparison"))  # fmt: skip
    return tuple(rows)


def draw(result: Parity, figure: Figure) -> None:
    """A point a seed."""
    figure.set_size_inches(6.4, 3.8)
    axes = figure.subplots()
    points = {f"{side}\n{name}": (result.scores(name, side), side) for name, side in result.runs}
    if result.cosines is not None:
        points = {"neighbours": (result.cosines[:1], OURS), "shuffled": (result.cosines[1:], GENSIM)}
    for place, (values, side) in enumerate(points.values()):
        colour = COLOURS[0] if side == OURS else COLOURS[1]
        axes.plot(np.full(len(values), place), values, "o", color=colour, alpha=0.8)
    axes.set_xticks(range(len(points)), list(points), fontsize=8)
    axes.set_ylabel("MEN, Spearman" if result.runs else "mean cosine")
    axes.margins(x=0.15)
    axes.set_title("Similarity on the same 6.8 M words; a point a seed" if result.runs else "Our side", fontsize=10)


def caption(result: Parity) -> str:
    text = "Twelve domains of The Pile, 5 epochs" if result.runs else "Python's documentation, 1 epoch"
    return f"{text}, 5 negatives, frequent words thinned at 1e-3."


STUDY = Study(
    name="gensim_parity",
    source="mikolov2013distributed",
    settings={"tiny": ParitySetting(()), "published": ParitySetting()},
    seeds={"tiny": 1, "published": 3},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=caption,
    ids=("parity-compared", "parity-d-100", "parity-d-200", "parity-neighbours"),
    takes={"tiny": "10 s", "published": "20 min idle"},
    smaller={"tiny": "Python's documentation for 6.8 M words, without gensim"},
    needs=(DATA,),
    tiny_needs=(),
)

if __name__ == "__main__":
    main(STUDY, draw, gensim_python=GENSIM_PYTHON)
