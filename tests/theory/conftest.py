"""A small population with repeated tokens, and its exact flow written independently of the library's models."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed import count, signatures
from jaxembed.base import Dataset, checked_dataset

VOCAB, LENGTH, WIDTH, EXAMPLES = 7, 3, 4, 40


@pytest.fixture(scope="session")
def data() -> Dataset:
    rng = np.random.default_rng(0)
    tokens = rng.integers(VOCAB, size=(EXAMPLES, LENGTH))
    tokens[:10, 1] = tokens[:10, 0]
    targets = (tokens[:, 0] + 2 * tokens[:, 2] + rng.integers(2, size=EXAMPLES)) % VOCAB
    return checked_dataset(tokens, targets, rng.random(EXAMPLES), VOCAB)


@pytest.fixture(scope="session")
def sig(data):
    return signatures(count(data))


@pytest.fixture(scope="session")
def shuffled_sig(data):
    """The control: the same inputs and label rates, labels dealt at random."""
    targets = np.random.default_rng(1).permutation(data.targets)
    return signatures(count(checked_dataset(data.tokens, targets, data.weights, data.vocab)))


@pytest.fixture(scope="session")
def state() -> dict[str, jax.Array]:
    rng = np.random.default_rng(2)
    return {name: jnp.asarray(rng.normal(size=(VOCAB, WIDTH)), dtype=float) for name in ("embed", "unembed")}


@pytest.fixture(scope="session")
def exact_flow() -> Callable:
    """`exact_flow(data, sigma)(state)`: minus the gradient of the population cross-entropy."""

    def build(data: Dataset, sigma: Callable) -> Callable:
        weights = jnp.asarray(data.weights, dtype=float)

        def loss(state):
            h = jnp.sum(state["embed"][data.tokens], axis=1)
            logits = sigma(h) @ state["unembed"].T
            own = jnp.take_along_axis(logits, data.targets[:, None], axis=1)[:, 0]
            return jnp.sum(weights * (jnp.log(jnp.sum(jnp.exp(logits), axis=1)) - own))

        return lambda state: jax.tree.map(jnp.negative, jax.grad(loss)(state))

    return build


@pytest.fixture(scope="session")
def degree() -> Callable:
    """`degree(field, state, k)`: the part of `field` of degree k in the scale of the state, by Taylor mode."""

    def part(field: Callable, state, k: int):
        derivative, factorial = lambda s: field(jax.tree.map(lambda leaf: s * leaf, state)), 1
        for i in range(1, k + 1):
            derivative, factorial = _along(derivative), factorial * i
        return jax.tree.map(lambda leaf: leaf / factorial, jax.jit(derivative)(jnp.zeros((), dtype=float)))

    return part


def _along(function: Callable) -> Callable:
    return lambda s: jax.jvp(function, (s,), (jnp.ones_like(s),))[1]


@pytest.fixture(scope="session")
def error() -> Callable:
    """Largest difference over the largest entry of the expected state; absolute where that vanishes."""

    def relative(actual, expected) -> float:
        assert jax.tree.structure(actual) == jax.tree.structure(expected)
        worst = 0.0
        for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
            scale = float(jnp.max(jnp.abs(b)))
            worst = max(worst, float(jnp.max(jnp.abs(a - b))) / (scale if scale > 1e-6 else 1.0))
        return worst

    return relative
