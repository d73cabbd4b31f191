"""The costly parts of the emergence study: modes in float64, training in float32, each kept on disk."""

from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.sparse.linalg import eigsh

from ...keep import digest, kept_arrays
from ...theory import word_pairs
from ...words import Cooccurrence, Quadratic, train_full
from ..study import Run


@dataclass(frozen=True)
class EmergenceSetting:
    """Model, clock and what is followed.

    Attributes:
        vocab: V, words; of made words they are as many as they are.
        width: d.
        window: of the text.
        init_scale: standard deviation of the initial entries.
        timed: modes whose half-rise is compared.
        step: learning rate in units of 1 / lam_1, until the timed modes have risen; then three times that.
        saves: while the timed modes rise, and after.
        window_end: end of training in units of the mean half-rise time of the slowest kept mode.
        least: covered questions a family needs.
        shown: the family that is drawn.
        attributes: of made words; 0 reads the corpus.
        noise: by which the meetings of made words are disturbed.
    """

    vocab: int = 5_000
    width: int = 100
    window: int = 10
    init_scale: float = 1e-3
    timed: int = 10
    step: float = 0.1
    saves: tuple[int, int] = (40, 30)
    window_end: float = 1.3
    least: int = 30
    shown: str = "family"
    attributes: int = 0
    noise: float = 0.0

    @property
    def model(self) -> Quadratic:
        return Quadratic(self.width, init_scale=self.init_scale)

    def start(self, vocab: int, seed: int) -> dict[str, Array]:
        """The start of a seed, float32: training's, and in float64 theory's."""
        return self.model.init(jax.random.key(seed), vocab)


def modes(pairs: Cooccurrence, width: int) -> word_pairs.WordModes:
    """The leading modes of M*, float64, by Lanczos on the dense matrix that theory makes of the counts."""
    joint = pairs.matrix.toarray() / pairs.joint_total
    share = joint.sum(axis=1)
    target = np.asarray(word_pairs.target_of(jnp.asarray(joint), jnp.asarray(np.outer(share, share))))
    values, vectors = eigsh(target, width, which="LA", v0=np.random.default_rng(0).normal(size=len(target)))
    order = np.argsort(-values)
    return word_pairs.WordModes(jnp.asarray(vectors[:, order]), jnp.asarray(values[order]))


def kept_modes(pairs: Cooccurrence, width: int, keep: Path | None) -> word_pairs.WordModes:
    """`modes`, computed once."""
    found = kept_arrays(keep, "modes", (pairs_digest(pairs), width), lambda: modes(pairs, width)._asdict())
    return word_pairs.WordModes(jnp.asarray(found["vectors"]), jnp.asarray(found["strengths"]))


@dataclass(frozen=True)
class Segment:
    """A piece of training with one learning rate.

    Attributes:
        dt: flow time of a step.
        steps: `[time]`, at which to save.
    """

    dt: float
    steps: tuple[int, ...]


def segments(setting: EmergenceSetting, strengths: Float[np.ndarray, " width"]) -> tuple[Segment, Segment]:
    """Small steps until the timed modes have risen, whose times are compared; then larger ones to the end."""
    left = setting.init_scale**2 * (setting.width - np.arange(setting.width))
    rises = np.asarray(word_pairs.half_time(jnp.asarray(left), jnp.asarray(strengths)))
    middle, end = 1.25 * rises[: setting.timed].max(), setting.window_end * rises.max()
    fine = setting.step / float(strengths[0])
    first = np.ceil(np.linspace(0, middle / fine, setting.saves[0] + 1)).astype(int)
    rest = np.ceil(np.linspace(0, (end - middle) / (3 * fine), setting.saves[1] + 1)).astype(int)
    return Segment(fine, tuple(first.tolist())), Segment(3 * fine, tuple(rest.tolist()))


def trained(
    setting: EmergenceSetting, pairs: Cooccurrence, parts: tuple[Segment, ...], seed: int, run: Run
) -> tuple[Float[np.ndarray, " time"], Float[np.ndarray, "time token width"]]:
    """Times and vectors of one run of gradient descent on the quadratic loss of all pairs, from a seed's start."""

    def progress(text: str, share: float | None = None) -> None:
        run.progress(f"seed {seed}: {text}", share)

    def compute() -> dict[str, np.ndarray]:
        now, ts, ys = setting.start(pairs.vocab, seed), [np.zeros(1)], []
        for part in parts:
            found = train_full(setting.model, pairs, params0=now, save_steps=part.steps, dt=part.dt, progress=progress)
            embed = np.asarray(found.ys["embed"])
            ts.append(ts[-1][-1] + part.dt * np.array(part.steps[1:], float))
            ys.append(embed[1:] if ys else embed)  # a segment begins with what the one before ended with
            now = {"embed": jnp.asarray(embed[-1])}
        return {"times": np.concatenate(ts), "embed": np.concatenate(ys)}

    identity = (pairs_digest(pairs), setting.width, setting.init_scale, parts, seed)
    found = kept_arrays(run.keep, f"trained_{seed}", identity, compute)
    return found["times"], found["embed"]


def pairs_digest(pairs: Cooccurrence) -> str:
    """What tells one table of counts from another."""
    return f"{pairs.vocab}-{digest(pairs.matrix.indices, pairs.matrix.data)[:16]}"
