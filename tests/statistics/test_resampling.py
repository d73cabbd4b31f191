"""Standard errors over documents: against the spread of whole new corpora, and against one that ignores documents."""

import numpy as np
import pytest

from jaxembed.statistics import count_in_parts, count_neighbours, next_rows, standard_error

DOCUMENTS, LENGTH, CORPORA, PARTS = 60, 30, 100, 15


def follows(pairs):
    """P(next = 1 | 0)."""
    return pairs.counts[0, 1] / pairs.firsts[0]


def drawn(seed):
    """Two tokens, independent within a document; how common token 1 is differs between documents, uniformly in 0..1.

    Then P(next = 1 | 0) = E[(1 - p) p] / E[1 - p] = 1/3.
    """
    rng = np.random.default_rng(seed)
    ids = rng.random((DOCUMENTS, LENGTH)) < rng.random((DOCUMENTS, 1))
    return ids.ravel().astype(np.uint16), LENGTH * np.arange(1, DOCUMENTS + 1)


def test_the_standard_error_is_the_spread_over_new_corpora_and_its_interval_covers_the_truth():
    estimates, naive = [], []
    for seed in range(CORPORA):
        parts = count_in_parts(*drawn(seed), vocab=2, parts=PARTS, key=seed)
        estimates.append(standard_error(parts, follows))
        share, draws = float(estimates[-1].value), parts.total.firsts[0]
        naive.append(np.sqrt(share * (1 - share) / draws))
    spread = np.std([found.value for found in estimates])
    errors = np.array([found.standard_error for found in estimates])
    # 100 corpora know their spread to 7 %, an error of 15 parts is known to 19 %, the mean of 100 such to 2 %
    assert abs(np.sqrt(np.mean(errors**2)) / spread - 1) < 0.2
    covered = np.mean([low <= 1 / 3 <= high for low, high in (found.interval() for found in estimates)])
    assert 0.95 - 3 * np.sqrt(0.95 * 0.05 / CORPORA) <= covered <= 1
    assert np.mean(naive) < 0.6 * spread, "tokens of one document are no independent draws"


def test_the_error_of_a_mean_over_documents_is_the_textbook_one():
    ids, ends = drawn(0)
    parts = count_in_parts(ids, ends, vocab=2, parts=DOCUMENTS)
    shares = ids.reshape(DOCUMENTS, LENGTH).mean(axis=1)
    found = standard_error(parts, lambda pairs: pairs.unigrams / pairs.unigrams.sum())
    assert found.value[1] == pytest.approx(shares.mean(), rel=1e-12)
    assert found.standard_error[1] == pytest.approx(shares.std(ddof=1) / np.sqrt(DOCUMENTS), rel=1e-10)


def test_parts_add_up_and_resamples_are_sums_of_parts():
    ids, ends = drawn(0)
    parts = count_in_parts(ids, ends, vocab=2, parts=7, window=2)
    assert len(parts) == 7 and parts.total.equals(count_neighbours(ids, ends, 2, window=2))
    assert sorted(part.documents for part in parts.parts) == [8] * 3 + [9] * 4
    assert parts.without(2).equals(parts.total - parts.parts[2])
    assert parts.subsample(7, key=1).equals(parts.total)
    assert parts.subsample(3, key=1).documents in range(24, 28)
    boots = [parts.bootstrap(seed).total for seed in range(20)]
    assert len(set(boots)) > 1 and parts.bootstrap(3).equals(parts.bootstrap(3))


def test_a_row_has_an_error_and_an_undefined_row_has_none():
    ids, ends = drawn(0)
    found = standard_error(
        count_in_parts(ids, ends, vocab=2), lambda pairs: next_rows(pairs).select(np.array([0])).dense()
    )
    assert found.value.shape == found.standard_error.shape == (1, 2) and (found.standard_error > 0).all()
    np.testing.assert_allclose(found.standard_error[0, 0], found.standard_error[0, 1], rtol=1e-9)  # they add up to 0
    undefined = standard_error(count_in_parts(ids, ends, vocab=3), lambda pairs: 0.0 if pairs.unigrams[2] else np.nan)
    assert np.isnan(undefined.value) and np.isnan(undefined.standard_error)


@pytest.mark.parametrize("parts", [1, 61])
def test_too_few_documents_or_parts_are_refused(parts):
    with pytest.raises(ValueError, match="need 2 to 60, the number of documents"):
        count_in_parts(*drawn(0), vocab=2, parts=parts)
