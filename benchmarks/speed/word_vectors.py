"""Word vectors from counts against gensim: what the eigenvectors of M* score, and how soon, in one run.

`python benchmarks/speed/word_vectors.py` reads twelve domains of The Pile (6.8 M lower-cased words) and has gensim's
word2vec and our counts with svd(M*) make vectors of them, one after the other, every side a process of its own held to
two cores and two threads, with the words in memory before the clock starts. Our counting is compiled before the clock
starts too, which takes some seconds once per installation; gensim's is compiled as it is installed. svd(M*) is its
published name: eigenpairs of largest value are taken, negative ones are dropped. Each is scored on Google's
analogies among the 30,000 most frequent words. About 8 minutes on two idle cores; needs JAXEMBED_DATA and gensim
(`pip install 'jaxembed[peers,text]'`, or `--gensim-python` of an environment that has it). `--size tiny` runs our side
on Python's documentation in seconds, without gensim and without data.
"""

import os
import sys
import tempfile
from datetime import date
from pathlib import Path

import numpy as np

from jaxembed.observables import subspace_overlap
from jaxembed.tables import Table
from jaxembed.words import Convention, cooccurrence, quadratic_target, word_text

sys.path.insert(0, str(Path(__file__).parents[1]))

import jax
from common import Check, arguments, finish, show, write_page
from word_sides import OPTIONS, Made, Side, analogies, corpus, make, similarity

PEERS = (
    Side("gensim, its defaults (CBOW, d 100, window 5)", "gensim", {}),
    Side("gensim skip-gram, else its defaults (d 100, window 5)", "gensim", {"sg": 1}),
    Side("gensim skip-gram, d 200, window 10", "gensim", {"sg": 1, "vector_size": 200, "window": 10}),
)
OURS = (
    Side(
        "counts + svd(M*), d 100, window 5, 30,000 words",
        "counts",
        {"width": 100, "window": 5, "weighting": "dynamic", "vocab": 30_000},
    ),
    Side(
        "counts + svd(M*), d 200, window 10, all words",
        "counts",
        {"width": 200, "window": 10, "weighting": "dynamic", "vocab": None},
    ),
)
TINY = Side("counts + svd(M*)", "counts", {"width": 20, "window": 5, "weighting": "flat", "vocab": 500})
HEADER = ("side", "seconds", "processor s", "Google analogies", "coverage", "MEN", "versions")


def rows(made: list[Made]) -> list[list[str]]:
    """A line a side."""
    table = []
    for one in made:
        report, men = analogies(one.vectors).total, similarity(one.vectors)
        scored = f"{report.accuracy:.1%} [{report.low:.1%}, {report.high:.1%}]"
        covered = f"{report.covered:,} of {report.questions:,}"
        table.append([one.side.name, *_times(one), scored, covered, f"{men.rho:.3f}", one.facts["version"]])
    return table


def _times(one: Made) -> list[str]:
    return [f"{one.facts['seconds']:.1f}", f"{one.facts['cpu']:.1f}"]


def checks(made: list[Made]) -> list[Check]:
    """The first of our sides against each of gensim's: its score, and half its time."""
    ours = next(one for one in made if one.side in OURS)
    own = analogies(ours.vectors).total.accuracy
    found = [] if any(one.side in PEERS for one in made) else [Check("gensim", "installed", "missing", False)]
    for peer in (one for one in made if one.side in PEERS):
        score, share = analogies(peer.vectors).total.accuracy, ours.facts["seconds"] / peer.facts["seconds"]
        name = f"{ours.side.name}, against {peer.side.name}"
        found.append(Check(f"{name}: analogies", f">= {score:.1%}", f"{own:.1%}", own >= score))
        found.append(Check(f"{name}: wall time", "<= 0.5 of its", f"{share:.2f}", share <= 0.5))
    return found


def tiny_checks(made: Made, text: Path) -> list[Check]:
    """That the side found the eigenvectors that numpy finds of the whole matrix."""
    found = word_text(text.read_text(encoding="utf-8").splitlines(), min_count=5, vocab=TINY.options["vocab"])
    pairs = cooccurrence(found, Convention(TINY.options["window"], TINY.options["weighting"]))
    vectors = np.linalg.eigh(quadratic_target(pairs).dense())[1][:, -TINY.options["width"] :]
    random = np.random.default_rng(0).normal(size=vectors.shape)
    width = TINY.options["width"]
    overlap, null = (
        float(subspace_overlap(x, vectors, width)) for x in (made.vectors.matrix.astype(np.float64), random)
    )
    asked, got = ">= 0.99", f"{overlap:.4f} (random vectors {null:.2f})"
    return [Check("overlap with the eigenvectors of numpy", asked, got, overlap >= 0.99)]


def main() -> None:
    args = arguments("Word vectors from counts against gensim.", **OPTIONS)
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        text = corpus(args.size != "tiny", args.keep or folder, lambda line, share=None: print(line, flush=True))
        wanted = (TINY,) if args.size == "tiny" else (*PEERS, *OURS)
        # Times are compared, so all sides run now, whatever an earlier run kept.
        made = [one for side in wanted if (one := make(side, text, folder, args.gensim_python)) is not None]
        load = f"load of the machine {before:.1f} before, {os.getloadavg()[0]:.1f} after"
        versions = (
            f"{date.today().isoformat()}, {jax.devices()[0].device_kind}, jax {jax.__version__}, {os.cpu_count()} cores"
        )
        if args.size == "tiny":
            print("tiny: Python's documentation, our side alone; no gensim, no analogies")
            header, table = HEADER[:3], [[one.side.name, *_times(one)] for one in made]
            found = tiny_checks(made[0], text)
        else:
            header, table, found = HEADER, rows(made), checks(made)
    note = (
        f"{versions}; {load}; two threads a side; our counting is compiled before the clock starts; svd(M*): "
        "eigenpairs of largest value; intervals over word pairs of the questions."
    )
    show("word vectors", header, table, width=220)
    write_page(args.out / "word_vectors.md", [note, Table("word vectors", header, table)])
    finish("word vectors against gensim", found)


if __name__ == "__main__":
    main()
