"""R_cos over every pair of a whole vocabulary: rate and memory against the machine's own float32 matrix product.

50,000 tokens of width 256 on both sides, float32: 1.25 billion pairs, 1.28e12 operations in the products of rows that
give both cosines. In one process, in turn: the machine's own product (numpy) of the same blocks, then the pass over
every pair with its sums, with sums and histograms, and with the nearest neighbours of every token besides; then the
way of `blockwise_r_cos` for dense rows, which needs no pairs, and one relabelling of its null. Rates count the
operations of the products alone. About 2 minutes on two idle cores, `--size tiny` seconds, nothing asked of it.
"""

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxembed.machine import cores
from jaxembed.observables import blockwise_r_cos
from jaxembed.observables.at_scale._bands import BINS
from jaxembed.observables.at_scale._identities import Similarity, pair_product, similarity
from jaxembed.observables.at_scale._scan import ScanPlan, block_size, scan
from jaxembed.observables.at_scale.alignment import GROUPS
from jaxembed.observables.at_scale.blockwise import BUDGET, correlation, deviations, floors, units_of_same_tokens
from jaxembed.tables import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import Check, arguments, finish, show, write_page

WIDTH, TOP = 256, 10
HEADER = ("what", "seconds", "Gflop/s of products", "of the product's rate", "peak memory, GiB")


@dataclass(frozen=True)
class Setting:
    """Sizes, how often each is timed, and whether anything is asked."""

    tokens: int
    repeats: int
    asked: bool

    @property
    def operations(self) -> float:
        """Multiplications and additions behind both cosines of every pair."""
        return 2 * 2 * WIDTH * self.tokens * (self.tokens - 1) / 2


SETTINGS = {"tiny": Setting(2000, 1, False), "normal": Setting(50_000, 3, True)}


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    checks, rows = measure(SETTINGS[args.size])
    title = f"R_cos, {SETTINGS[args.size].tokens:,} tokens x {WIDTH}, float32, {cores()} core(s)"
    show(title, HEADER, rows)
    write(args.out / "cosines.md", title, rows)
    finish("cosines of every pair", checks)


def measure(setting: Setting) -> tuple[list[Check], list[tuple[str, ...]]]:
    """Times, rates and what was asked."""
    rng = np.random.default_rng(0)
    S = rng.normal(size=(setting.tokens, WIDTH)).astype(np.float32)
    W = S[:, ::-1] + rng.normal(size=S.shape).astype(np.float32)
    a, b = units_of_same_tokens(W, S)
    sides = similarity(a), similarity(b)
    scan(a, b, plan(sides, np.arange(200), bins=BINS, top=TOP))  # compiles the loops
    order = np.arange(setting.tokens)
    size = block_size(a, b, plan(sides, order, bins=BINS, top=TOP))
    calls: dict[str, Callable[[], object]] = {
        "numpy's own product": lambda: products(a.rows, b.rows, size),
        "every pair: sums (R_cos)": lambda: scan(a, b, plan(sides, order)),
        "and histograms by group": lambda: scan(a, b, plan(sides, order, bins=BINS)),
        f"and the {TOP} nearest": lambda: scan(a, b, plan(sides, order, bins=BINS, top=TOP)),
    }
    least, rates, peaks, found = dict.fromkeys(calls, np.inf), {name: [] for name in calls}, {}, {}
    for _ in range(setting.repeats):
        for name, call in calls.items():
            seconds, found[name] = timed(call)
            least[name] = min(least[name], seconds)
            rates[name].append(setting.operations / seconds / 1e9)
            peaks[name] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    own = np.median(rates["numpy's own product"])
    rows = [
        (
            name,
            f"{least[name]:.2f}",
            f"{np.median(rates[name]):.0f}",
            f"{np.median(rates[name]) / own:.2f}",
            f"{peak:.2f}",
        )
        for name, peak in peaks.items()
    ]
    quick, r = timed(lambda: blockwise_r_cos(W, S))
    shuffle = rng.permutation(setting.tokens)
    relabelled, _ = timed(lambda: pair_product(*sides, shuffle=shuffle, budget=BUDGET))
    rows.append(("R_cos without pairs (dense rows)", f"{quick:.2f}", "", "", ""))
    rows.append(("one relabelling of its null", f"{relabelled:.2f}", "", "", ""))
    pairs = setting.tokens * (setting.tokens - 1) / 2
    sums = found["every pair: sums (R_cos)"].groups.sum(axis=(0, 1))
    gap = abs(float(correlation(deviations(sums, pairs), pairs, floors(a, b))) - r)
    checks = [Check("both ways give the same R_cos", "<= 1e-6 (float32 cosines)", f"{gap:.1e}", gap <= 1e-6)]
    if setting.asked:
        share, peak = np.median(rates["every pair: sums (R_cos)"]) / own, max(peaks.values())
        checks.append(
            Check("rate of the pass with R_cos", ">= 0.5 of the product's", f"{share:.2f}", bool(share >= 0.5))
        )
        checks.append(Check("peak memory of the process", "<= 2 GiB", f"{peak:.2f} GiB", bool(peak <= 2)))
    return checks, rows


def plan(sides: tuple[Similarity, Similarity], order: np.ndarray, bins: int = 0, top: int = 0) -> ScanPlan:
    """A pass in the library's own working memory."""
    means = sides[0].pairs_mean, sides[1].pairs_mean
    return ScanPlan(order, means, BUDGET, GROUPS if bins else 1, bins, -1.0, BINS / 2, top)


def products(W: np.ndarray, S: np.ndarray, size: int) -> None:
    """The products of rows alone, both sides, upper triangle of blocks, into one block of memory."""
    held = np.empty(size * size, np.float32)
    for i in range(0, len(W), size):
        for j in range(i, len(W), size):
            for rows in (W, S):
                left, right = rows[i : i + size], rows[j : j + size]
                np.matmul(left, right.T, out=held[: len(left) * len(right)].reshape(len(left), len(right)))


def timed(call: Callable[[], object]) -> tuple[float, object]:
    clock = time.perf_counter()
    found = call()
    return time.perf_counter() - clock, found


def write(path: Path, title: str, rows: list[tuple[str, ...]]) -> None:
    note = f"{title}. Median rate, least time; peak memory of the whole process up to then."
    write_page(path, [note, Table(title, HEADER, rows)])


if __name__ == "__main__":
    main()
