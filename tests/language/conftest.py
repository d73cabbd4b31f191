"""Small corpora and models for the tests of training."""

import numpy as np
import pytest

from jaxembed.corpus import corpus_of
from jaxembed.models import Decoder

VOCAB = 50


@pytest.fixture(scope="session")
def corpus():
    """20,000 tokens of a Markov chain: each token is followed by one of three."""
    steps = np.random.default_rng(0).integers(0, 3, 20_000)
    ids = (np.cumsum(steps) % VOCAB).astype(np.uint16)
    return corpus_of(ids, np.array([700, 20_000]), VOCAB)


@pytest.fixture(scope="session")
def model():
    return Decoder(width=16, layers=1, heads=2, mlp_width=32)
