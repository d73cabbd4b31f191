"""A linear probe for classes that can count rare ones as much as common ones; on the host, where nothing compiles."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.optimize import minimize
from scipy.special import logsumexp

from .probe import Probe, Standard
from .softmax import PENALTIES


def class_probe(
    x: Float[Array | np.ndarray, "example dimension"],
    classes: Int[Array | np.ndarray, " example"],
    x_val: Float[Array | np.ndarray, "..."],
    classes_val: Int[Array | np.ndarray, "..."],
    *,
    balanced: bool = True,
    whiten: bool = True,
    penalties: Sequence[float] = PENALTIES,
    iterations: int = 60,
) -> Probe:
    """Softmax regression on classes, for the few hundred samples of which some class is rare.

    Equation: argmin_w -mean_i c_i log softmax(x_i w)_{k_i} + penalty / 2 |w|^2 by L-BFGS (the problem is convex); the
    penalty with the least weighted cross-entropy on the validation part.

    Args:
        x: `[example, dimension]`, what is read; the fit is in float64.
        classes: `[example]`, from 0.
        x_val: validation part.
        classes_val: validation part.
        balanced: weights c_i under which all classes weigh the same; False takes c_i = 1.
        whiten: fit in whitened coordinates; False in the inputs' own units, for counts of words of which there are
            more than samples.
        penalties: to choose from, the largest first; each starts where the one before ended.
        iterations: of L-BFGS for every penalty, at most.

    Raises:
        ValueError: where rows do not match, or fewer than two classes are there.

    >>> x = np.array([[0.0], [0.1], [0.9], [1.0]])
    >>> probe = class_probe(x, np.array([0, 0, 1, 1]), x, np.array([0, 0, 1, 1]))
    >>> np.argmax(np.asarray(probe.predict(x)), axis=1).tolist()
    [0, 0, 1, 1]
    """
    x, x_val = (np.asarray(part, np.float64) for part in (x, x_val))
    classes, classes_val = (np.asarray(part, np.int64) for part in (classes, classes_val))
    count = _checked(x, classes, x_val, classes_val)
    centre, basis = _coordinates(x) if whiten else (np.zeros(x.shape[1]), None)
    z, z_val = ((part - centre) if basis is None else (part - centre) @ basis for part in (x, x_val))
    weights, weights_val = (_weights(part, count, balanced) for part in (classes, classes_val))
    line, best = np.zeros((z.shape[1] + 1, count)), (np.inf, np.zeros(0), 0.0)
    for penalty in penalties:
        fit = minimize(
            _objective, line.ravel(), (z, classes, weights, penalty), "L-BFGS-B", True, options={"maxiter": iterations}
        )
        line = fit.x.reshape(line.shape)
        loss = _objective(line.ravel(), z_val, classes_val, weights_val, 0.0)[0]
        if loss < best[0]:
            best = loss, line, penalty
    _, line, penalty = best
    weight = line[:-1] if basis is None else basis @ line[:-1]
    layers = ((jnp.asarray(weight, float), jnp.asarray(line[-1], float)),)
    inputs = Standard(jnp.asarray(centre, float), jnp.ones(x.shape[1], float))
    return Probe(layers, inputs, None, jnp.asarray(penalty, float), "distribution")


def _checked(x: np.ndarray, classes: np.ndarray, x_val: np.ndarray, classes_val: np.ndarray) -> int:
    """The number of classes."""
    for name, rows, labels in (("x, classes", x, classes), ("x_val, classes_val", x_val, classes_val)):
        if rows.ndim != 2 or labels.shape != rows.shape[:1] or len(rows) == 0:
            raise ValueError(f"{name}: need one class per row of a table, got {labels.shape} and {rows.shape}")
    count = int(classes.max()) + 1
    if len(np.unique(classes)) != count or count < 2 or classes_val.max() >= count:
        raise ValueError("classes: need at least two, numbered from 0, each with a training sample")
    return count


def _coordinates(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre, and the map to coordinates of covariance one; directions that hold next to nothing are left small."""
    centre = x.mean(axis=0)
    sd = x.std(axis=0)
    scale = np.where(sd > 1e-6 * np.abs(x).max(axis=0), sd, 1)  # a constant column shows rounding, not spread
    z = np.where(sd[None] > 0, (x - centre) / scale, 0)
    values, basis = np.linalg.eigh(z.T @ z / len(z))
    return centre, basis / np.sqrt(np.maximum(values, 0) + 1e-6)[None] / scale[:, None]


def _weights(classes: np.ndarray, count: int, balanced: bool) -> np.ndarray:
    there = np.bincount(classes, minlength=count)
    return len(classes) / (np.sum(there > 0) * there[classes]) if balanced else np.ones(len(classes))


def _objective(
    flat: np.ndarray, z: np.ndarray, classes: np.ndarray, weights: np.ndarray, penalty: float
) -> tuple[float, np.ndarray]:
    """Weighted cross-entropy with its gradient; the bias is the last row and is not penalised."""
    line = flat.reshape(z.shape[1] + 1, -1)
    logits = z @ line[:-1] + line[-1]
    log_p = logits - logsumexp(logits, axis=1, keepdims=True)
    rows = np.arange(len(z))
    loss = -np.mean(weights * log_p[rows, classes]) + 0.5 * penalty * np.sum(line[:-1] ** 2)
    error = np.exp(log_p)
    error[rows, classes] -= 1
    error *= weights[:, None] / len(z)
    gradient = np.concatenate([z.T @ error + penalty * line[:-1], error.sum(axis=0, keepdims=True)])
    return float(loss), gradient.ravel()
