"""A small weighted population with repeated tokens, an unused token and an unused label; and its moments by loops."""

import numpy as np
import pytest

from jaxembed.base import Dataset, checked_dataset

VOCAB, LENGTH, EXAMPLES = 6, 3, 30


@pytest.fixture(scope="session")
def data() -> Dataset:
    rng = np.random.default_rng(0)
    tokens = rng.integers(VOCAB - 1, size=(EXAMPLES, LENGTH))
    tokens[:8, 1] = tokens[:8, 0]
    tokens[8:12], targets = tokens[:4, ::-1], rng.integers(1, VOCAB, size=EXAMPLES)
    targets[8:12] = targets[:4]
    return checked_dataset(tokens, targets, rng.random(EXAMPLES), VOCAB)


@pytest.fixture(scope="session")
def slow():
    """`slow(data)`: every moment by loops over examples and positions."""

    def moments(data: Dataset) -> dict[str, np.ndarray]:
        v = data.vocab
        out = {"token": np.zeros(v), "target": np.zeros(v)}
        out |= {"m1": np.zeros((v, v)), "k": np.zeros((v, v)), "m2": np.zeros((v, v, v))}
        for row, y, w in zip(data.tokens.tolist(), data.targets.tolist(), data.weights.tolist(), strict=True):
            out["target"][y] += w
            for x in row:
                out["token"][x] += w
                out["m1"][x, y] += w
                for other in row:
                    out["k"][x, other] += w
                    out["m2"][x, other, y] += w
        return out

    return moments
