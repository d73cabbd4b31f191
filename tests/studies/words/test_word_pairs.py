"""The studies of word pairs at size tiny."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.studies.words.attributes import HEADER as ATTRIBUTES_HEADER
from jaxembed.studies.words.attributes import RUNS, attributes_study
from jaxembed.studies.words.word_pairs import CURVES, HEADER, SETTINGS, word_pairs_study

FLOAT32 = jnp.zeros((), float).dtype == np.float32


@pytest.mark.skipif(not FLOAT32, reason="the refusal concerns float32")
@pytest.mark.parametrize("study", [word_pairs_study, attributes_study])
def test_float32_is_refused(study):
    with pytest.raises(ValueError, match="needs float64"):
        study("tiny")


@pytest.mark.slow
@pytest.mark.float64_only("errors of 1e-10")
def test_sigmoids_and_the_exact_solution():
    result = word_pairs_study("tiny", seeds=3)
    assert not [check for check in result.checks() if not check.passed]
    assert set(result.errors) == set(SETTINGS["tiny"].init_scales)
    assert all(set(found) == set(CURVES) for found in result.errors.values())
    assert all(values.shape == (3,) for found in result.errors.values() for values in found.values())
    assert all(len(row) == len(HEADER) for row in result.rows())
    assert np.median(result.by_decay[0.9]) > np.median(result.by_decay[0.5])
    qr = [np.median(found["QR diagonal"]) for found in result.errors.values()]
    assert qr[0] > qr[1] > qr[2]


@pytest.mark.slow
@pytest.mark.float64_only("analogies are compared with theory at rounding")
def test_attributes_are_learnt():
    result = attributes_study("tiny", seeds=3)
    assert not [check for check in result.checks() if not check.passed]
    assert set(result.accuracy) == set(RUNS)
    assert all(len(row) == len(ATTRIBUTES_HEADER) for row in result.rows())
    # Words that differ in the lost attribute are twins; they tie unless the question holds one of them: 2 / d of all.
    short = result.cell("even", "PMI", 2)
    assert short.accuracy == pytest.approx(2 / 3) and short.tied == pytest.approx(1 / 3)
    assert np.all(result.solved_at() < 1)
