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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from _drawing import COLOURS, plt, save
from _generated import stamped_markdown
from common import arguments, finish, show
from word_sides import OPTIONS, Made, Side, analogies, corpus, make, similarity

from jaxembed.studies.check import Check
from jaxembed.studies.measured import mean_and_interval

SEEDS = (1, 2, 3)
SETTINGS = {"d 100, window 5": (100, 5), "d 200, window 10": (200, 10)}
GENSIM, OURS = "gensim skip-gram", "our skip-gram"
HEADER = (
    "settings",
    "side",
    "MEN, mean over seeds",
    "seeds",
    "MEN of the first seed, interval over pairs",
    "pairs covered",
    "Google analogies",
    "seconds a seed",
)

FREQUENT = 50
"""Words left out of the tiny check: they stand beside all others."""

Runs = dict[tuple[str, str], list[Made]]


def sides(setting: str, seed: int) -> dict[str, Side]:
    """Both sides at the same settings."""
    width, window = SETTINGS[setting]
    theirs = {"sg": 1, "vector_size": width, "window": window, "seed": seed}
    ours = {"width": width, "window": window, "seed": seed}
    return {
        GENSIM: Side(f"{GENSIM}, {setting}, seed {seed}", "gensim", theirs),
        OURS: Side(f"{OURS}, {setting}, seed {seed}", "skip_gram", ours),
    }


def scores(made: list[Made]) -> np.ndarray:
    return np.array([similarity(one.vectors).rho for one in made])


def rows(runs: Runs) -> list[tuple[str, ...]]:
    """A line a setting and side."""
    table = []
    for (setting, name), made in runs.items():
        men, first = scores(made), similarity(made[0].vectors)
        google = [analogies(one.vectors).total.accuracy for one in made]
        seconds = [one.facts["seconds"] for one in made]
        interval = f"{first.rho:.3f} [{first.low:.3f}, {first.high:.3f}]"
        table.append((
            setting, name, mean_and_interval(men, 3), ", ".join(f"{x:.3f}" for x in men), interval,
            f"{first.covered:,} of {first.asked:,}", f"{np.mean(google):.1%}", f"{np.mean(seconds):.0f}",
        ))  # fmt: skip
    return table


def checks(runs: Runs) -> list[Check]:
    """Our mean against the least of gensim's seeds."""
    found = [Check("gensim", "installed", "missing", False)] if not any(name == GENSIM for _, name in runs) else []
    for setting in SETTINGS:
        if (setting, GENSIM) in runs:
            theirs, ours = scores(runs[setting, GENSIM]), scores(runs[setting, OURS])
            asked = f">= {theirs.min():.3f}, the least of gensim's {len(theirs)} seeds"
            got = f"{ours.mean():.3f} [{ours.min():.3f} .. {ours.max():.3f}]"
            found.append(Check(f"MEN, {setting}: our mean", asked, got, bool(ours.mean() >= theirs.min())))
    return found


def draw(runs: Runs, path: Path) -> None:
    """A point a seed."""
    figure, axes = plt.subplots(figsize=(6.4, 3.8))
    for place, ((_, name), made) in enumerate(runs.items()):
        colour = COLOURS[0] if name == OURS else COLOURS[1]
        axes.plot(np.full(len(made), place), scores(made), "o", color=colour, alpha=0.8)
    axes.set_xticks(range(len(runs)), [f"{name}\n{setting}" for setting, name in runs], fontsize=8)
    axes.set_ylabel("MEN, Spearman")
    axes.margins(x=0.15)
    axes.set_title("Similarity on the same 6.8 M words; a point a seed", fontsize=10)
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    save(figure, path, "Twelve domains of The Pile, 5 epochs, 5 negatives, frequent words thinned at 1e-3.")


def tiny(text: Path, folder: Path, python: str) -> None:
    """Our side alone, on a text that has no question's words: neighbours in it are more alike than strangers."""
    made = make(
        Side("skip-gram", "skip_gram", {"width": 10, "window": 3, "epochs": 1, "seed": 1}), text, folder, python
    )
    assert made is not None
    vectors, rng = made.vectors, np.random.default_rng(0)
    unit = vectors.matrix / np.linalg.norm(vectors.matrix, axis=1, keepdims=True)
    ids = np.array([vectors.ids.get(word, -1) for word in text.read_text(encoding="utf-8").split()])
    ids = ids[ids >= FREQUENT]
    beside, shuffled = (ids[:-1], ids[1:]), (ids, rng.permutation(ids))
    cosines, null = (np.sum(unit[a] * unit[b], axis=1).mean() for a, b in (beside, shuffled))
    print("tiny: Python's documentation, our side alone; no gensim, no similarity")
    got = f"{cosines:.3f}, shuffled {null:.3f}"
    finish("skip-gram", [Check("mean cosine of neighbours in the text", "> shuffled", got, bool(cosines > null))])


def main() -> None:
    args = arguments("Our skip-gram beside gensim's.", **OPTIONS)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        text = corpus(args.size, folder, lambda line: print(line, flush=True))
        if args.size == "tiny":
            tiny(text, folder, args.gensim_python)
        runs: Runs = {}
        for setting in SETTINGS:
            for seed in SEEDS:
                for name, side in sides(setting, seed).items():
                    made = make(side, text, folder, args.gensim_python)
                    if made is not None:
                        men, seconds = similarity(made.vectors).rho, made.facts["seconds"]
                        print(f"{side.name}: MEN {men:.3f}, {seconds:.0f} s", flush=True)
                        runs.setdefault((setting, name), []).append(made)
    show("similarity to people's scores", HEADER, rows(runs), width=220)
    versions = {name: made[0].facts["version"] for (_, name), made in runs.items()}
    note = f"{len(SEEDS)} seeds; " + "; ".join(f"{name}: {version}" for name, version in versions.items())
    command = "python benchmarks/figures/gensim_parity.py"
    stamped_markdown(args.out / "gensim_parity.md", HEADER, rows(runs), command, note)
    draw(runs, args.out / "gensim_parity.png")
    finish("our skip-gram beside gensim's", checks(runs))


if __name__ == "__main__":
    main()
