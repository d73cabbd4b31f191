"""The basis study at size tiny."""

import numpy as np
import pytest

from jaxembed.studies.pairs.xor_basis import SETTINGS, SPARSE, STUDY

SEEDS = 2


@pytest.fixture(scope="module")
def result():
    return STUDY.result("tiny", seeds=SEEDS)


@pytest.mark.slow
def test_all_evidence_holds_at_tiny(result, tends):
    assert not [row.id for row in STUDY.evidence(result) if not tends(row)]


@pytest.mark.slow
def test_training_takes_the_basis_named_before(result):
    width = SETTINGS["tiny"].width
    for operation in (result.xor, result.addition):
        neurons = operation.trained
        assert neurons.index.shape == (SEEDS, 3, width) and np.all(operation.accuracy == 1)
        assert neurons.sparse_share.min() > 0.5 and neurons.agreement.min() == 1
        assert neurons.sparsity[neurons.sparse[:, None, :].repeat(3, axis=1)].min() > SPARSE


@pytest.mark.slow
def test_controls_show_none_of_it(result):
    xor = result.xor
    for control in (xor.untrained, xor.random, result.random.trained):
        assert control.sparse_share.max() < 0.1
    # 15 modes: agreement of three independent indices by chance is 1 in 225.
    assert xor.random.agreement_of_all.max() < 0.05
    assert not result.random.basis.found and np.isnan(result.random.overlap)
    assert np.isnan(result.random.trained.agreement).all()
