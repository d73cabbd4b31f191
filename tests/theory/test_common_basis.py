"""theory/common_basis.md: the basis of an operation from data alone, and the honest "none"."""

from itertools import permutations

import jax
import numpy as np
import pytest

from jaxembed.base import checked_dataset
from jaxembed.statistics import position_signatures
from jaxembed.tasks import BinaryTable
from jaxembed.theory.common_basis import CommonBasis, common_basis, table_family

ROLES = ("first", "second", "label")


def fourier(size):
    row, column = np.indices((size, size))
    return np.exp(2j * np.pi * row * column / size) / np.sqrt(size)


def hadamard(size):
    signs = [[(-1) ** (row & column).bit_count() for column in range(size)] for row in range(size)]
    return np.array(signs) / np.sqrt(size)


def overlap(columns, reference):
    """Worst overlap of a column with its match, the matches being one to one."""
    table = np.abs(np.asarray(reference).conj().T @ np.asarray(columns))
    assert sorted(table.argmax(axis=0)) == list(range(len(table)))
    return table.max(axis=0).min()


def addition(size):
    row, column = np.indices((size, size))
    return (row + column) % size


def xor(size):
    row, column = np.indices((size, size))
    return row ^ column


def triangle():
    """S_3: composition of the permutations of three things."""
    every = list(permutations(range(3)))
    return np.array([[every.index(tuple(p[i] for i in q)) for q in every] for p in every])


def square():
    """The eight symmetries of the square."""
    turn, flip = np.arange(8) % 4, np.arange(8) // 4
    turned = np.where(flip[:, None] == 0, turn[None, :], -turn[None, :])
    return (turn[:, None] + turned) % 4 + 4 * (flip[:, None] ^ flip[None, :])


def unitary(matrix, tolerance):
    matrix = np.asarray(matrix)
    return np.allclose(matrix.conj().T @ matrix, np.eye(len(matrix)), rtol=0, atol=100 * tolerance)


@pytest.fixture(scope="module")
def found() -> dict[str, CommonBasis]:
    return {"addition": common_basis(table_family(addition(8))), "xor": common_basis(table_family(xor(8)))}


def test_the_bases_rebuild_the_table(found, tolerance):
    for name, table in (("addition", addition(8)), ("xor", xor(8))):
        basis = found[name]
        columns = [np.asarray(getattr(basis, role)) for role in ROLES]
        rebuilt = np.einsum("r,ar,br,yr->aby", np.asarray(basis.strength), columns[0], columns[1], columns[2].conj())
        np.testing.assert_allclose(rebuilt, np.eye(8)[table] - 1 / 8, rtol=0, atol=100 * tolerance)
        assert all(unitary(matrix, tolerance) for matrix in columns)
        assert float(basis.residual) < 100 * tolerance and basis.found
        assert float(basis.commutator) < 100 * tolerance
        np.testing.assert_allclose(basis.strength[1:], np.sqrt(8), rtol=100 * tolerance)


def test_names_are_not_given_but_found(found):
    for role in ROLES:
        assert overlap(getattr(found["addition"], role), fourier(8)) >= 0.999
        assert overlap(getattr(found["xor"], role), hadamard(8)) >= 0.999
    assert overlap_fails(found["xor"].first, fourier(8)) and overlap_fails(found["addition"].first, hadamard(8))
    # In Z_8 only frequency 4 is real; in Z_2^3 all are.
    assert "1 real modes, 3 conjugate pairs" in str(found["addition"])
    assert "7 real modes, 0 conjugate pairs" in str(found["xor"])


def overlap_fails(columns, reference):
    return np.abs(np.asarray(reference).conj().T @ np.asarray(columns)).max(axis=0).min() < 0.95


def test_partners_are_complex_conjugates(found, tolerance):
    for basis in found.values():
        partner = np.asarray(basis.partner)
        np.testing.assert_array_equal(partner[partner], np.arange(8))
        columns = np.asarray(basis.first)
        product = np.abs(np.sum(columns * columns[:, partner], axis=0))
        np.testing.assert_allclose(product, 1, rtol=0, atol=1e3 * tolerance)


def test_relabelled_alphabets_permute_the_rows():
    rng = np.random.default_rng(0)
    one, other, label = (rng.permutation(8) for _ in range(3))
    table = np.empty((8, 8), int)
    table[np.ix_(one, other)] = label[addition(8)]
    basis = common_basis(table_family(table))
    assert basis.found
    for columns, order in ((basis.first, one), (basis.second, other), (basis.label, label)):
        assert overlap(np.asarray(columns)[order], fourier(8)) >= 0.999


def test_multiplication_modulo_a_prime_is_addition_of_logarithms():
    powers = np.array([pow(3, k, 7) for k in range(6)])  # 3 generates the units modulo 7
    nonzero = np.arange(1, 7)
    basis = common_basis(table_family(nonzero[:, None] * nonzero[None, :] % 7 - 1))
    assert basis.found
    for role in ROLES:
        assert overlap(np.asarray(getattr(basis, role))[powers - 1], fourier(6)) >= 0.999


@pytest.mark.parametrize(("table", "dimensions"), [(triangle(), [1, 1, 2]), (square(), [1, 1, 1, 1, 2])])
def test_groups_that_do_not_commute_have_none_and_attain_the_bound(table, dimensions):
    basis = common_basis(table_family(table), starts=4)
    bound = 1 - (sum(dimensions) - 1) / (len(table) - 1)
    assert not basis.found and str(basis).startswith("none")
    assert bound - 1e-4 < float(basis.residual) < bound + 1e-3
    assert float(basis.commutator) > 0.1


@pytest.mark.parametrize("size", [6, 8])
def test_random_tables_have_none(size):
    for seed in range(3):
        table = np.random.default_rng(seed).integers(size, size=(size, size))
        basis = common_basis(table_family(table))
        assert not basis.found
        assert 0.7 < float(basis.residual) / float(basis.null_residual) < 1.4


def test_a_latin_square_that_is_no_group_has_none():
    """Rows of a cyclic square composed with a permutation that is no shift: a quasigroup, not isotopic to a group."""
    table = addition(8)
    rng = np.random.default_rng(1)
    for _ in range(400):  # switch the two symbols along cycles of two rows: stays Latin
        i, j = rng.choice(8, 2, replace=False)
        start = column = rng.integers(8)
        while True:
            table[i, column], table[j, column] = table[j, column], table[i, column]
            if table[i, column] == table[i, start] and column != start:
                break
            again = np.flatnonzero(table[i] == table[i, column])
            again = again[again != column]
            if not again.size:
                break
            column = again[0]
    assert all(len(set(line)) == 8 for line in (*table, *table.T))
    basis = common_basis(table_family(table))
    assert not basis.found and float(basis.residual) > 0.3


@pytest.mark.slow
def test_part_of_an_exact_table_is_completed():
    basis = common_basis(position_signatures(BinaryTable(16, "xor", train_share=0.6).dataset()))
    assert abs(float(basis.coverage) - 0.6) < 0.01
    assert float(basis.residual) < 1e-4 and basis.found
    for role in ROLES:
        assert overlap(getattr(basis, role), hadamard(16)) >= 0.999


def test_the_residual_rises_smoothly_with_label_noise():
    residuals, overlaps = [], []
    for noise in (0.0, 0.05, 0.1, 0.3, 1.0):
        tasks = [BinaryTable(8, "xor", label_noise=noise, seed=seed) for seed in range(5)]
        bases = [common_basis(position_signatures(task.dataset()), starts=1) for task in tasks]
        residuals.append(np.mean([float(basis.residual) for basis in bases]))
        overlaps.append(np.mean([np.abs(hadamard(8).T @ np.asarray(basis.first)).max(axis=0).min() for basis in bases]))
        assert all(basis.found == (noise <= 0.1) for basis in bases)
    assert np.all(np.diff(residuals) > 0) and np.all(np.diff(overlaps) < 1e-6)
    assert 0.08 < residuals[2] < 0.19 and 0.3 < residuals[3] < 0.51  # at most 2 eta - eta^2: the search fits some noise
    assert overlaps[2] > 0.98 and overlaps[-1] < 0.85


def test_data_and_table_are_the_same_family(found, tolerance):
    basis = common_basis(position_signatures(BinaryTable(8).dataset()))
    np.testing.assert_allclose(np.abs(basis.first), np.abs(found["addition"].first), rtol=0, atol=1e3 * tolerance)


def test_the_same_key_gives_the_same_answer(found):
    again = common_basis(table_family(xor(8)))
    np.testing.assert_array_equal(again.label, found["xor"].label)
    other = common_basis(table_family(xor(8)), jax.random.key(5))
    assert overlap(other.first, found["xor"].first) > 0.999


def test_spectrum_of_single_modes_and_of_noise(found, tolerance):
    basis = found["addition"]
    angle = 2 * np.pi * np.arange(8)[:, None] * np.arange(1, 4)[None, :] / 8
    waves = np.cos(angle + np.array([0.3, 1.0, 2.0])[None, :]) + 5.0  # the constant is no mode
    for role in ROLES:
        shares = np.asarray(basis.spectrum(role, waves))
        np.testing.assert_allclose(shares.sum(axis=0), 1, rtol=100 * tolerance)
        assert shares.max(axis=0).min() > 1 - 1e3 * tolerance
        assert len(set(shares.argmax(axis=0))) == 3
    assert np.array_equal(*(np.asarray(basis.spectrum(role, waves)).argmax(axis=0) for role in ROLES[:2]))
    noise = np.asarray(basis.spectrum("first", np.random.default_rng(0).normal(size=(8, 200))))
    assert 0.4 < noise.max(axis=0).mean() < 0.7


def test_bad_tables_are_refused():
    with pytest.raises(ValueError, match="square"):
        table_family(np.zeros((3, 4), int))
    with pytest.raises(ValueError, match="square"):
        common_basis(np.zeros((3, 4, 3)))
    with pytest.raises(ValueError, match="labels"):
        table_family([[0, 3], [1, 0]])
    with pytest.raises(ValueError, match="at least 3"):
        common_basis(table_family([[0, 1], [1, 0]]))
    data = checked_dataset([[0, 0], [1, 2], [0, 1]], [0, 1, 2], None, 3)
    with pytest.raises(ValueError, match="symbol 2 never stands first"):
        common_basis(position_signatures(data))


def test_a_search_needs_a_start():
    with pytest.raises(ValueError, match="starts, sweeps"):
        common_basis(position_signatures(BinaryTable(4, "xor").dataset()), starts=0)
