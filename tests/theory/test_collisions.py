"""theory/collisions.md: collision counts, and the early slopes of clean and corrupted examples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed import population_loss
from jaxembed.base import checked_dataset
from jaxembed.models import TwoPosition
from jaxembed.statistics import position_signatures
from jaxembed.tasks import BinaryTable
from jaxembed.theory.collisions import Collisions, collisions, counts, early_slope, noisy_collisions


def of(data):
    return position_signatures(data)


def pairs(part, whole):
    """(label agrees less chance, shared positions, weight) of every pair of examples, by loops."""
    v = part.vocab
    for (a, b), y, p in zip(part.tokens, part.targets, part.weights, strict=True):
        for (c, d), z, q in zip(whole.tokens, whole.targets, whole.weights, strict=True):
            yield (y == z) - 1 / v, int(a == c) + int(b == d), p * q


@pytest.fixture(scope="module")
def noisy():
    task = BinaryTable(4, "xor", label_noise=0.5, seed=3)
    return task.dataset(), task.noisy_dataset(), task.clean_dataset()


def test_collisions_are_those_of_a_loop_over_all_pairs(noisy, tolerance):
    whole, corrupted, clean = noisy
    for part in (corrupted, clean, whole):
        found = collisions(of(part), of(whole))
        expected = np.zeros(3)
        for agree, shared, weight in pairs(part, whole):
            expected += weight * agree * np.array([1, shared, shared == 2])
        np.testing.assert_allclose(np.asarray(found), expected, rtol=0, atol=tolerance)


def test_collisions_of_weighted_repeated_examples(tolerance):
    rng = np.random.default_rng(0)
    data = checked_dataset(rng.integers(3, size=(20, 2)), rng.integers(3, size=20), rng.random(20), 3)
    expected = sum(weight * agree * (shared == 2) for agree, shared, weight in pairs(data, data))
    assert abs(float(collisions(of(data)).pair) - expected) < tolerance


def test_published_counts_of_a_latin_square_and_of_a_random_table():
    size = 7
    k0, k1 = counts(of(BinaryTable(size).dataset()), size**2)
    np.testing.assert_allclose([k0, k1], [size**3, 0], atol=2e-3)
    drawn = [
        np.asarray(counts(of(BinaryTable(size, label_noise=1.0, seed=seed).dataset()), size**2)) for seed in range(100)
    ]
    expected = np.array([size**3 + size**2 - size, 2 * (size**2 - size)])
    error = np.std(drawn, axis=0) / np.sqrt(len(drawn))
    assert np.all(np.abs(np.mean(drawn, axis=0) - expected) < 4 * error)
    assert np.all(error < 0.05 * expected)


def test_counts_and_collisions_are_the_same_numbers(noisy, tolerance):
    whole = noisy[0]
    k0, k1 = counts(of(whole), 16)
    found = collisions(of(whole))
    assert abs(float(k0) - 16**2 * (float(found.label) + 1 / 4)) < 1e3 * tolerance
    assert abs(float(k1) - 16**2 * float(found.token)) < 1e3 * tolerance


def test_zero_divisors_collide():
    """Pillai's function: the sum of gcd(a, v) over a, divided by v, is |phi^(a)|^2 of multiplication mod v."""
    for size in (11, 12):
        k1 = float(counts(of(BinaryTable(size, "modular_multiplication").dataset()), size**2)[1])
        pillai = sum(np.gcd(a, size) for a in range(1, size + 1))
        assert abs(k1 - size**2 * (2 * pillai / size - 2)) < 1e-2
    prime, composite = (
        collisions(of(BinaryTable(size, "modular_multiplication").dataset())).token for size in (11, 12)
    )
    assert float(composite) > 1.5 * float(prime)


@pytest.mark.parametrize("noise", [0.2, 0.7])
def test_expected_collisions_under_label_noise(noise):
    size, draws = 8, {"clean": [], "corrupted": []}
    for seed in range(30):
        task = BinaryTable(size, "xor", label_noise=noise, seed=seed)
        whole = of(task.dataset())
        draws["clean"].append(np.asarray(collisions(of(task.clean_dataset()), whole)))
        draws["corrupted"].append(np.asarray(collisions(of(task.noisy_dataset()), whole)))
    share = 1 - task.clean_mask.mean()
    for name, expected in zip(draws, noisy_collisions(share, size), strict=True):
        error = np.std(draws[name], axis=0) / np.sqrt(30)
        assert np.all(np.abs(np.mean(draws[name], axis=0) - np.asarray(expected)) < 4 * error + 1e-6), name
    clean, corrupted = noisy_collisions(noise, size)
    assert abs(float(corrupted.token / clean.token) - 1 / noise) < 1e-5


def expected_slope(part, whole, taylor, width, scale):
    """E over the start of the slope while the prediction is uniform, by Gauss-Hermite quadrature for every pair."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(8)
    weights = np.outer(weights, weights) / weights.sum() ** 2

    def mean(shared, function):
        root = np.linalg.cholesky(np.array([[2, shared], [shared, 2]]) + 1e-14 * np.eye(2)) * scale
        grid = np.stack(np.meshgrid(nodes, nodes, indexing="ij"))
        one, other = np.einsum("ij,jkl->ikl", root, grid)
        return np.sum(weights * function(one) * function(other))

    c1, c2, c3 = taylor
    values = [mean(s, lambda h: c1 * h + c2 * h**2 / 2 + c3 * h**3 / 6) for s in range(3)]
    slopes = [s * scale**2 * mean(s, lambda h: c1 + c2 * h + c3 * h**2 / 2) for s in range(3)]
    return width * sum(weight * agree * (values[s] + slopes[s]) for agree, s, weight in pairs(part, whole))


@pytest.mark.float64_only("compares numbers down to 1e-12")
@pytest.mark.parametrize("taylor", [(0.5, 0.8, 0.0), (1.0, 0.0, 0.0), (0.0, 2.0, 0.0)])
def test_slope_of_a_quadratic_activation_is_exact(noisy, taylor):
    whole, corrupted, clean = noisy
    for part in (corrupted, clean, whole):
        predicted = float(early_slope(collisions(of(part), of(whole)), taylor, 5, 0.1))
        expected = expected_slope(part, whole, taylor, 5, 0.1)
        assert abs(predicted / expected - 1) < 1e-10


@pytest.mark.float64_only("compares numbers down to 1e-12")
def test_error_of_the_slope_is_of_degree_six(noisy):
    whole, corrupted, _ = noisy
    taylor, found, scales = (1.0, 0.5, -2.0), collisions(of(corrupted), of(whole)), (0.02, 0.01)
    errors = [
        abs(float(early_slope(found, taylor, 5, s)) - expected_slope(corrupted, whole, taylor, 5, s)) for s in scales
    ]
    assert abs(np.log2(errors[0] / errors[1]) - 6) < 0.1


@pytest.mark.float64_only("the slopes are small differences")
def test_slope_of_the_true_gradient_flow_over_many_starts(noisy):
    """Nothing is left out: cross-entropy, GELU, the prediction as it is at the start."""
    whole, corrupted, clean = noisy
    model = TwoPosition(width=64, init_scale=0.1)
    loss = population_loss(model, whole)

    def slopes(key):
        params = model.init(key, whole.vocab, 2)
        gradient = jax.grad(loss)(params)
        rates = [jax.grad(population_loss(model, part))(params) for part in (corrupted, clean)]
        return jnp.stack([sum(jnp.sum(r[k] * gradient[k]) for k in gradient) for r in rates])

    seeds = 2000
    measured = np.asarray(jax.jit(jax.vmap(slopes))(jax.random.split(jax.random.key(0), seeds)))
    predicted = [
        float(early_slope(collisions(of(part), of(whole)), model.taylor, 64, 0.1)) for part in (corrupted, clean)
    ]
    error = measured.std(axis=0) / np.sqrt(seeds)
    assert np.all(error < 0.015 * np.array(predicted))
    assert np.all(np.abs(measured.mean(axis=0) - predicted) < 4 * error + 2e-3 * np.array(predicted))
    assert predicted[0] > 1.2 * predicted[1]


def test_relabelling_changes_no_count(noisy, tolerance):
    whole = noisy[0]
    rng = np.random.default_rng(1)
    one, other, label = (rng.permutation(4) for _ in range(3))
    moved = np.stack([one[whole.tokens[:, 0]], other[whole.tokens[:, 1]]], axis=1)
    renamed = checked_dataset(moved, label[whole.targets], whole.weights, 4)
    np.testing.assert_allclose(collisions(of(whole)), collisions(of(renamed)), rtol=0, atol=tolerance)


def test_a_part_of_another_task_is_refused():
    with pytest.raises(ValueError, match="whole"):
        collisions(of(BinaryTable(3).dataset()), of(BinaryTable(4).dataset()))


def test_slope_maps_over_scales(noisy):
    found = collisions(of(noisy[0]))
    lanes = jax.vmap(lambda s: early_slope(found, (0.5, 0.8, 0.0), 8, s))(jnp.asarray([0.1, 0.2]))
    assert isinstance(found, Collisions)
    np.testing.assert_allclose(lanes[1], early_slope(found, (0.5, 0.8, 0.0), 8, 0.2), rtol=1e-6)
