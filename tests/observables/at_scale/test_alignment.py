import math
import subprocess
import sys
from itertools import permutations as every_order

import jax
import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

from jaxembed import observables
from jaxembed.base import SparseRows
from jaxembed.observables import blockwise_r_cos
from jaxembed.observables.at_scale import _block_kernels, _scan, _unit_rows, alignment
from jaxembed.observables.at_scale._identities import held, pair_product, similarity, spread
from jaxembed.observables.at_scale._permutations import mantel_sd, neighbour_null, overlap
from jaxembed.observables.at_scale.blockwise import units_of_same_tokens

BUDGET = 2**26


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def related(seed, tokens=120, dtype=np.float64):
    """Embeddings that are a noisy linear image of signatures."""
    S = normal(seed, tokens, 30) * np.linspace(3, 0.3, 30)[None, :]
    return (S @ normal(seed + 1, 30, 12) + normal(seed + 2, tokens, 12)).astype(dtype), S.astype(dtype)


def sparse(seed, tokens=120, targets=200):
    """Rows of probabilities with a few heavy columns, less their mean."""
    rng = np.random.default_rng(seed)
    held = random_array((tokens, targets), density=0.08, rng=rng, format="csr")
    counts = csr_array(held.toarray() * (1 + 40 / (1 + np.arange(targets)))[None, :] + np.eye(tokens, targets))
    rows = csr_array(counts.multiply(1 / counts.sum(axis=1)[:, None]))
    return SparseRows(rows, np.asarray(rows.mean(axis=0)).ravel())


def slow_cosines(rows):
    rows = np.asarray(rows, np.float64)
    unit = rows / np.linalg.norm(rows, axis=1)[:, None]
    return unit @ unit.T


def slow_r_cos(W, S):
    upper = np.triu_indices(len(W), 1)
    return float(np.corrcoef(slow_cosines(W)[upper], slow_cosines(S)[upper])[0, 1])


@pytest.fixture(params=["numba", "numpy"])
def loops(request, monkeypatch):
    if request.param == "numba":
        pytest.importorskip("numba")
    else:
        monkeypatch.setattr(_block_kernels, "kernels", _block_kernels.plain)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(_scan, "LARGEST_BLOCK", 48)
    monkeypatch.setattr(_scan, "STRIPE", 16)


@pytest.mark.float64_only("compares with r_cos in float64")
@pytest.mark.parametrize("heavy", [0.025, 0.2, 2.0])
def test_r_cos_blockwise_equals_r_cos(heavy, monkeypatch, small_blocks, loops):
    monkeypatch.setattr(_unit_rows, "HEAVY", heavy)
    W, S = related(0)
    R = sparse(3)
    mixed = R.dense() @ normal(4, 200, 10)
    plain = SparseRows(R.matrix, np.zeros(200))
    few = SparseRows(csr_array(np.eye(120, 200) + np.eye(120, 200, 100)), np.zeros(200))  # light in some blocks only
    for a, b in ((W, S), (mixed, R), (R, mixed), (R, R), (R, sparse(5)), (mixed, plain), (mixed, few)):
        dense = [side.dense() if isinstance(side, SparseRows) else side for side in (a, b)]
        np.testing.assert_allclose(blockwise_r_cos(a, b), float(observables.r_cos(*dense)), atol=1e-12)
    assert blockwise_r_cos(mixed, R) > 0.3  # something to agree on


@pytest.mark.float64_only("one dtype is enough")
def test_float32_rows_keep_their_dtype_and_float64_sums():
    W, S = related(0, dtype=np.float32)
    np.testing.assert_allclose(blockwise_r_cos(W, S), slow_r_cos(W, S), atol=1e-6)
    np.testing.assert_allclose(blockwise_r_cos(jax.numpy.asarray(W), S), blockwise_r_cos(W, S), atol=1e-12)


@pytest.mark.float64_only("counts digits of float64")
def test_products_of_whole_sides_equal_the_pass_over_pairs(small_blocks):
    """Two exact routes; the products alone would lose the digits of nearly constant cosines, and say so."""
    W, S = related(1)
    a, b = (similarity(unit) for unit in units_of_same_tokens(W, S))
    found = _scan.scan(a.unit, b.unit, _scan.ScanPlan(np.arange(120), (a.pairs_mean, b.pairs_mean), BUDGET))
    sums = 2 * found.groups[0, 0]
    got = spread(a, budget=BUDGET), spread(b, budget=BUDGET), pair_product(a, b, budget=BUDGET)
    np.testing.assert_allclose(got, sums[2:] - sums[[0, 1, 0]] * sums[[0, 1, 1]] / (120 * 119), rtol=1e-12)
    nearly = np.eye(120) + 1e-6 * normal(0, 120, 120)
    assert math.isnan(spread(similarity(_unit_rows.unit_rows(nearly)), budget=BUDGET))
    np.testing.assert_allclose(blockwise_r_cos(nearly, S), float(observables.r_cos(nearly, S)), atol=1e-9)
    far = 1e3 + normal(0, 120, 40)  # cosines near one
    np.testing.assert_allclose(blockwise_r_cos(far, S), float(observables.r_cos(far, S)), atol=1e-9)


def test_undefined_exactly_where_r_cos_is():
    W, S = related(2, 40)
    zero, broken = W.copy(), W.copy()
    zero[3], broken[5, 0] = 0, np.nan
    row = np.random.default_rng(0).dirichlet(np.ones(160))
    equal = row[None, :] * (1 + 4e-16 * np.sign(normal(1, 40, 160)))
    cases = [(zero, S), (broken, S), (np.eye(40), S), (equal, S), (S, np.ones((40, 3))), (W[:2], S[:2])]
    for a, b in cases:
        assert math.isnan(float(observables.r_cos(a, b))), "the case is not one"
        assert math.isnan(blockwise_r_cos(a, b))
    assert not math.isnan(blockwise_r_cos(W, S))
    seen = sparse(0, 40)
    assert not math.isnan(blockwise_r_cos(W, seen))
    at_baseline = csr_array(np.vstack([seen.baseline[None, :], seen.matrix.toarray()[1:]]))
    never_seen = csr_array(np.vstack([0 * seen.baseline[None, :], seen.matrix.toarray()[1:]]))
    for matrix in (at_baseline, never_seen):
        assert math.isnan(blockwise_r_cos(W, SparseRows(matrix, seen.baseline)))


def test_the_numpy_and_the_compiled_loops_agree(small_blocks, monkeypatch):
    pytest.importorskip("numba")
    W, S = related(4, 150)
    compiled = alignment(W, S, permutations=3, top=7)
    monkeypatch.setattr(_block_kernels, "kernels", _block_kernels.plain)
    plain = alignment(W, S, permutations=3, top=7)
    assert compiled.overlap == plain.overlap
    np.testing.assert_allclose(compiled.scores, plain.scores, atol=1e-10)
    np.testing.assert_allclose(compiled.r_cos, plain.r_cos, atol=1e-12)
    for one, other in zip(compiled.bands + compiled.tails, plain.bands + plain.tails, strict=True):
        assert one.pairs == other.pairs
        np.testing.assert_allclose((one.similarity, one.agreement), (other.similarity, other.agreement), atol=1e-12)


@pytest.mark.float64_only("compares with slow float64 sums")
def test_bands_scores_and_neighbours_equal_slow_ones(small_blocks, loops):
    W, S = related(5, 90)
    found = alignment(W, S, permutations=5, top=6)
    a, b = slow_cosines(W), slow_cosines(S)
    upper = np.triu_indices(90, 1)
    x, y = a[upper], b[upper]
    np.testing.assert_allclose(found.mean_cosines, (x.mean(), y.mean()), atol=1e-12)
    slope, at_zero = np.polyfit(x, y, 1)
    for band in found.tails:
        inside = x >= band.threshold - 1e-12
        assert band.pairs == inside.sum()
        assert abs(inside.mean() - (1 - band.quantiles[0])) < 2 / len(x)  # bins are finer than these pairs
        np.testing.assert_allclose(band.agreement, y[inside].mean(), atol=1e-12)
        line = slope * x[inside].mean() + at_zero
        np.testing.assert_allclose(band.excess, y[inside].mean() - line, atol=1e-9)
    assert sum(band.pairs for band in found.bands) == found.pairs == len(x)
    for token in (0, 41, 89):
        others = np.arange(90) != token
        np.testing.assert_allclose(
            found.scores[token], np.corrcoef(a[token, others], b[token, others])[0, 1], atol=1e-12
        )
    np.fill_diagonal(a, -2)
    np.fill_diagonal(b, -2)
    nearest = [[set(np.argsort(-side[token])[:6]) for token in range(90)] for side in (a, b)]
    shared = np.mean([len(one & other) / 6 for one, other in zip(*nearest, strict=True)])
    assert found.overlap == pytest.approx(shared)


def test_the_permutation_variance_is_exact():
    """Against all 720 relabellings of six tokens, by the plain definition."""
    W, S = normal(0, 6, 3), normal(1, 6, 5)
    a, b = slow_cosines(W), slow_cosines(S)
    upper = np.triu_indices(6, 1)
    every = [np.corrcoef(a[np.ix_(order, order)][upper], b[upper])[0, 1] for order in map(list, every_order(range(6)))]
    sides = []
    for side in (a, b):
        around = side - side[upper].mean()
        np.fill_diagonal(around, 0)
        sides.append((around.sum(axis=1), np.sum(around**2)))
    got = mantel_sd(np.stack([sides[0][0], sides[1][0]], axis=1), np.array([sides[0][1], sides[1][1]]))
    assert got == pytest.approx(np.std(every), rel=1e-10)
    assert np.mean(every) == pytest.approx(0, abs=1e-12)


@pytest.mark.float64_only("compares with slow float64 sums")
def test_relabelled_products_equal_slow_ones():
    W, S = related(6, 50)
    R = sparse(1, 50)
    shuffle = np.random.default_rng(3).permutation(50)
    upper = np.triu_indices(50, 1)
    for a, b in ((W, S), (W, R), (R, W), (R, R)):
        sides = [similarity(unit) for unit in units_of_same_tokens(a, b)]
        dense = [side.dense() if isinstance(side, SparseRows) else side for side in (a, b)]
        x, y = slow_cosines(dense[0])[np.ix_(shuffle, shuffle)][upper], slow_cosines(dense[1])[upper]
        slow = 2 * np.sum((x - x.mean()) * (y - y.mean()))
        for budget in (2**26, 2**14):  # at once, and a few columns at a time
            got = pair_product(*(held(side, budget) for side in sides), shuffle=shuffle, budget=budget)
            assert got == pytest.approx(slow, abs=1e-10)


def test_agreement_is_found_and_its_absence_too():
    W, S = related(7, 200)
    found = alignment(W, S, permutations=99)
    assert found.r_cos > found.null_99 + 3 * found.null_sd
    assert found.p_value == 0.01 and found.overlap_p_value == 0.01
    assert found.trend > 0.9 and found.trend_interval[0] > 0.5
    assert found.interval[0] < found.r_cos < found.interval[1]
    assert abs(found.null.std() / found.null_sd - 1) < 0.3
    nothing = alignment(normal(1, 200, 12), S, permutations=99)
    assert abs(nothing.r_cos) < 4 * nothing.null_sd
    assert nothing.p_value > 0.01
    assert abs(nothing.overlap_null.mean() - nothing.overlap_chance) < 0.01


def test_the_tail_says_whether_strong_pairs_agree_more_than_a_line():
    """Signatures that agree with embeddings only in pairs of near twins bend upwards at the end."""
    S, noise = normal(0, 300, 40), normal(1, 300, 40)
    S[1::2] = S[::2] + 0.2 * S[1::2]
    noise[1::2] = noise[::2] + 0.2 * noise[1::2]
    bent = alignment(noise, S, permutations=9)
    assert bent.tails[3].agreement > 0.9  # the 99.9 % quantile: twins
    straight = alignment(S @ normal(2, 40, 400), S, permutations=9)
    assert abs(straight.tails[2].excess) < 0.05


@pytest.mark.slow
@pytest.mark.float64_only("counts coverage in one dtype")
def test_intervals_cover_what_they_should():
    """The interval over resampled tokens holds the value of the population in about 95 % of the samples."""
    mixing = normal(0, 30, 8)

    def draw(seed, tokens):
        S = normal(seed, tokens, 30)
        return S @ mixing, S

    truth = blockwise_r_cos(*draw(999, 3000))
    inside = 0
    for seed in range(60):
        low, high = alignment(*draw(seed, 80), permutations=1, top=1).interval
        inside += low <= truth <= high
    assert inside >= 51  # at 95 % fewer happen once in a thousand times


def test_the_null_of_neighbours_is_k_over_the_others():
    """Every relabelling of five tokens: the mean overlap is k / (v - 1) exactly."""
    first, second = (
        np.array([[1, 2], [2, 3], [3, 4], [4, 0], [0, 1]]),
        np.array([[4, 2], [0, 2], [1, 4], [0, 4], [3, 2]]),
    )
    draws = [np.array(order) for order in every_order(range(5))]
    assert neighbour_null(first, second, draws).mean() == pytest.approx(2 / 4)
    assert overlap(first, first) == 1.0


def test_tokens_without_direction_are_left_out_and_counted():
    W, S = related(8, 60)
    W[[4, 9]] = 0
    R = SparseRows(csr_array(np.where(np.arange(60)[:, None] == 20, 0, S)), np.zeros(30))
    found = alignment(W, R, permutations=9)
    assert (found.tokens, found.left_out) == (57, 3)
    assert np.flatnonzero(np.isnan(found.scores)).tolist() == [4, 9, 20]
    kept = np.setdiff1d(np.arange(60), [4, 9, 20])
    np.testing.assert_allclose(found.r_cos, slow_r_cos(W[kept], S[kept]), atol=1e-6)


def test_constant_signatures_are_undefined_throughout():
    found = alignment(normal(0, 30, 5), np.ones((30, 4)), permutations=5)
    assert all(math.isnan(x) for x in (found.r_cos, found.p_value, found.null_sd, found.null_99, *found.interval))
    assert np.isnan(found.scores).all()


def test_same_seed_same_numbers():
    W, S = related(9, 60)
    one, other = (alignment(W, S, permutations=9, key=4) for _ in range(2))
    assert np.array_equal(one.null, other.null) and one.interval == other.interval
    assert not np.array_equal(one.null, alignment(W, S, permutations=9, key=5).null)


def test_what_does_not_fit_is_refused():
    W, S = related(0, 40)
    broken = W.copy()
    broken[7, 2] = np.inf
    with pytest.raises(ValueError, match="budget: need at least"):
        alignment(W, S, budget=1000)
    with pytest.raises(ValueError, match="permutations"):
        alignment(W, S, permutations=0)
    with pytest.raises(ValueError, match="W: 1 rows are not finite, the first is 7"):
        alignment(broken, S)
    with pytest.raises(ValueError, match="at least 4 tokens"):
        alignment(W[:3], S[:3])
    with pytest.raises(ValueError, match="one row per row of W"):
        units_of_same_tokens(W, S[:30])


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc what a process took")
@pytest.mark.float64_only("measures memory; once is enough")
def test_memory_stays_within_the_budget():
    """12,000 tokens: all pairs would be 1.1 GB a side; the pass may take its 128 MiB and the allocator's slack."""
    code = """
from pathlib import Path
import numpy as np
from jaxembed.observables import alignment, blockwise_r_cos
def peak():  # not getrusage: its peak is handed down from the process that started this one
    return 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
rng = np.random.default_rng(0)
S = rng.normal(size=(12_000, 64)).astype(np.float32)
W = S[:, ::-1] + rng.normal(size=S.shape).astype(np.float32)
alignment(W[:200], S[:200], permutations=2)
before = peak()
found = alignment(W, S, permutations=2, budget=2**27)
print(peak() - before, found.r_cos)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    taken, r = map(float, done.stdout.split())
    assert taken < 1.5 * 2**27
    assert r > 0.2
