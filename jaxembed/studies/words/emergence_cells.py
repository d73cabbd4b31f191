"""The costly parts of the emergence study: modes in float64, training in float32, each kept on disk."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.sparse.linalg import eigsh

from ...keep import made_by
from ...keep import write_bytes as write_whole
from ...theory import word_pairs
from ...words import Cooccurrence, Quadratic, train_full


@dataclass(frozen=True)
class Setting:
    """Model, clock and what is followed.

    Attributes:
        vocab: V, words; of made words they are as many as they are.
        width: d.
        window: of the text.
        init_scale: standard deviation of the initial entries.
        timed: modes whose half-rise is asked.
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


SETTINGS = {
    "tiny": Setting(width=12, timed=4, saves=(15, 10), least=4, shown="attribute 1", attributes=5, noise=0.15),
    "normal": Setting(),
}


def modes(pairs: Cooccurrence, width: int) -> word_pairs.Modes:
    """The leading modes of M*, float64, by Lanczos on the dense matrix that theory makes of the counts."""
    joint = pairs.matrix.toarray() / pairs.joint_total
    share = joint.sum(axis=1)
    target = np.asarray(word_pairs.target_of(jnp.asarray(joint), jnp.asarray(np.outer(share, share))))
    values, vectors = eigsh(target, width, which="LA", v0=np.random.default_rng(0).normal(size=len(target)))
    order = np.argsort(-values)
    return word_pairs.Modes(jnp.asarray(vectors[:, order]), jnp.asarray(values[order]))


def kept_modes(pairs: Cooccurrence, width: int, keep: Path | None) -> word_pairs.Modes:
    """`modes`, computed once."""
    found = kept_arrays(keep, "modes", f"{digest(pairs)}, {width}", lambda: modes(pairs, width)._asdict())
    return word_pairs.Modes(jnp.asarray(found["vectors"]), jnp.asarray(found["strengths"]))


def begin(setting: Setting, vocab: int, seed: int) -> dict[str, Array]:
    """The start of a seed, float32: training's, and in float64 theory's."""
    return Quadratic(setting.width, init_scale=setting.init_scale).init(jax.random.key(seed), vocab)


@dataclass(frozen=True)
class Stage:
    """A piece of training with one learning rate.

    Attributes:
        dt: flow time of a step.
        steps: `[time]`, at which to save.
    """

    dt: float
    steps: tuple[int, ...]


def stages(setting: Setting, strengths: Float[np.ndarray, " width"]) -> tuple[Stage, Stage]:
    """Small steps until the timed modes have risen, whose times are asked; then larger ones to the end."""
    left = setting.init_scale**2 * (setting.width - np.arange(setting.width))
    rises = np.asarray(word_pairs.half_time(jnp.asarray(left), jnp.asarray(strengths)))
    middle, end = 1.25 * rises[: setting.timed].max(), setting.window_end * rises.max()
    fine = setting.step / float(strengths[0])
    first = np.ceil(np.linspace(0, middle / fine, setting.saves[0] + 1)).astype(int)
    rest = np.ceil(np.linspace(0, (end - middle) / (3 * fine), setting.saves[1] + 1)).astype(int)
    return Stage(fine, tuple(first.tolist())), Stage(3 * fine, tuple(rest.tolist()))


def trained(
    setting: Setting,
    pairs: Cooccurrence,
    plan: tuple[Stage, ...],
    seed: int,
    keep: Path | None,
    progress: Callable[[str], None],
) -> tuple[Float[np.ndarray, " time"], Float[np.ndarray, "time token width"]]:
    """Times and vectors of one run of gradient descent on the quadratic loss of all pairs, from a seed's start."""

    def run() -> dict[str, np.ndarray]:
        now, clock = begin(setting, pairs.vocab, seed), 0.0
        ts, ys = [], []
        for stage in plan:
            model = Quadratic(setting.width, init_scale=setting.init_scale)
            part = train_full(pairs, model, start_at=now, saves=stage.steps, dt=stage.dt,
                              progress=lambda at, total: progress(f"seed {seed}: step {at} of {total}"))  # fmt: skip
            embed = np.asarray(part.ys["embed"])
            first = 1 if ts else 0  # a stage begins with what the one before ended with
            ts.append(clock + stage.dt * np.array(stage.steps[first:], float))
            ys.append(embed[first:])
            now, clock = {"embed": jnp.asarray(embed[-1])}, float(ts[-1][-1])
        return {"times": np.concatenate(ts), "embed": np.concatenate(ys)}

    identity = f"{digest(pairs)}, {setting.width}, {setting.init_scale}, {plan}, {seed}"
    found = kept_arrays(keep, f"trained_{seed}", identity, run)
    return found["times"], found["embed"]


def digest(pairs: Cooccurrence) -> str:
    """What tells one table of counts from another."""
    found = hashlib.sha256(pairs.matrix.indices.tobytes())
    found.update(pairs.matrix.data.tobytes())
    return f"{pairs.vocab}-{found.hexdigest()[:16]}"


def kept_arrays(
    folder: Path | None, name: str, identity: str, compute: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """What was computed earlier by this JAX on this device, or now."""
    if folder is None:
        return compute()
    named = hashlib.sha256(f"{identity}, {made_by()}".encode()).hexdigest()[:16]
    path = folder / f"{name}_{named}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {key: np.asarray(value) for key, value in compute().items()}
        np.savez(buffer, **arrays)
        write_whole(path, buffer.getvalue())
    with np.load(path) as found:
        return {key: found[key] for key in found.files}
