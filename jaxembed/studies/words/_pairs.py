"""What the studies of pair losses share: starts and losses of all seeds, sigmoids, half-rise times."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...base import Dataset
from ...ensemble import stacked
from ...models import PairLoss, WordPairs, pair_loss
from ...observables.crossing import crossing
from ...tasks import shuffled
from ...theory import word_pairs


def starts(width: int, init_scale: float, vocab: int, seeds: int) -> dict[str, Float[Array, "seed token width"]]:
    """Initial vectors of every seed."""
    keys = jax.random.split(jax.random.key(0), seeds)
    return jax.vmap(lambda key: WordPairs(width, init_scale).init(key, vocab))(keys)


def losses(data: Dataset, run: str, seeds: int) -> PairLoss:
    """The loss of every seed: quadratic unless `run` is "logistic"; "shuffled" ones have another shuffle in each."""
    kind = "logistic" if run == "logistic" else "quadratic"
    return stacked([pair_loss(shuffled(data, seed) if "shuffled" in run else data, kind) for seed in range(seeds)])


def sigmoids(
    ts: Float[Array, " time"], start: Float[Array, " width"], strengths: Float[Array, " width"]
) -> Float[Array, "time width"]:
    """Powers s_k^2 of all modes on their own, sorted as those of singular values are."""
    powers = jax.vmap(lambda t: word_pairs.power(t, start, strengths))(ts)
    return jnp.sort(powers, axis=1)[:, ::-1]


def half_rises(
    ts: Float[Array, " time"], powers: Float[Array, "time width"], strengths: Float[Array, " width"]
) -> Float[Array, " width"]:
    """First time every s_k^2 passes half its eigenvalue, straight in ln s^2 / (lam - s^2) between saves."""
    left = jnp.maximum(strengths[None] - powers, 1e-12 * strengths[None])
    return jnp.asarray(crossing(ts, jnp.log(powers / left).T, 0.0))
