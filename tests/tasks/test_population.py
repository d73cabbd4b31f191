"""The mechanism under the tasks: digits, and a random function without a table."""

import numpy as np

from jaxembed.tasks.population import Population, _mixed, random_function


def test_digits_agree_with_numpy():
    population = Population((3, 1, 4, 5), 1, 2, lambda *digits: digits)
    cells = np.arange(population.size)
    assert population.size == 60
    for ours, numpys in zip(population.digits(cells), np.unravel_index(cells, population.radices), strict=True):
        np.testing.assert_array_equal(ours, numpys)


def test_size_is_exact_beyond_64_bits():
    assert Population((10**10, 10**10), 1, 2, lambda *digits: digits).size == 10**20


def test_mixing_is_splitmix64():
    golden, seed = 0x9E3779B97F4A7C15, 1234567
    state = np.array([(seed + (i + 1) * golden) % 2**64 for i in range(5)], np.uint64)
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert _mixed(state).tolist() == published


def test_random_function_is_a_function_of_the_cell_and_spreads_evenly():
    cells = np.arange(60_000)
    values = random_function(cells, 60, seed=2)
    np.testing.assert_array_equal(random_function(cells[::-1][:7], 60, seed=2), values[::-1][:7])
    expected = len(cells) / 60
    assert 25 < ((np.bincount(values, minlength=60) - expected) ** 2 / expected).sum() < 110  # 59 degrees of freedom
    centred = values - values.mean()
    for lag in (1, 10, 100):
        correlation = np.mean(centred[lag:] * centred[:-lag]) / centred.var()
        assert abs(correlation) < 5 / np.sqrt(len(cells))
