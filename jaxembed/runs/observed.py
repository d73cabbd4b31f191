"""What an experiment on a task looks at: which tokens, under which names, and how far weights follow signatures."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .. import observables
from ..base import Dataset, Trajectory
from ..corpus import TextBigram
from ..losses.population import accuracy
from .results import Agreement
from ..statistics import Signatures, position_signatures
from ..tasks import BinaryTable
from ..theory.common_basis import common_basis
from .settings import AnyTask, Experiment

BASIS_LIMIT = 64
"""Symbols of a table up to which its common basis is looked for."""

JOINT_LIMIT = 2**22
"""Entries of the joint signatures of the looked-at tokens up to which they are compared with embeddings."""


def agreements(
    experiment: Experiment, data: Dataset, sig: Signatures, trained: Trajectory, null: Trajectory
) -> tuple[Agreement, ...]:
    """How far trained weights follow each signature, and the order of anchors, beside the control's."""
    tokens = scope(experiment.task, data)
    labels = np.flatnonzero(np.asarray(sig.target) > 0)
    next_, prev = ("next", "prev") if isinstance(experiment.task, TextBigram) else ("label", "trace-back")
    rows = [
        (f"R_cos(embed, {next_} - 1/v)", "embed", tokens, (sig.label - 1 / sig.vocab)[tokens]),
        (f"R_cos(embed, {next_} - P(y))", "embed", tokens, (sig.label - sig.target[None])[tokens]),
        (f"R_cos(unembed, {prev} - r)", "unembed", labels, (sig.trace_back - sig.token[None])[labels]),
    ]
    if data.length > 1:  # a sequence of one token has no context but itself
        rows.insert(2, ("R_cos(embed, context)", "embed", tokens, sig.context[tokens]))
        if len(tokens) * sig.vocab**2 <= JOINT_LIMIT:
            joint = (sig.joint() - sig.context[:, :, None] / sig.vocab)[tokens]
            rows.insert(3, ("R_cos(embed, joint - context/v)", "embed", tokens, joint.reshape(len(tokens), -1)))
    key = jax.random.key(experiment.data_seed)
    found = [_r_cos_row(name, leaf, chosen, s, trained, null, key) for name, leaf, chosen, s in rows]
    if hasattr(experiment.task, "anchor_tokens") and len(tokens) > 2:
        found.append(_order_row(tokens, trained, null))
    if isinstance(experiment.task, BinaryTable) and 2 < experiment.task.size <= BASIS_LIMIT and _complete(data):
        found += _basis_rows(data, trained, null)
    return tuple(found)


def _r_cos_row(
    name: str, leaf: str, rows: np.ndarray, signature: Array, trained: Trajectory, null: Trajectory, key: Array
) -> Agreement:
    course = np.asarray(_r_cos_along(trained.ys[leaf][:, :, rows], signature))
    at_end = np.asarray(_r_cos_along(null.ys[leaf][:, :, rows], signature))[:, -1]
    permutations = 999 if len(rows) <= 100 else 199
    p_values = [_mantel(w[-1][rows], signature, key=key, permutations=permutations) for w in trained.ys[leaf]]
    return Agreement(name, course[:, -1], at_end, np.asarray(p_values), course)


# Jitted once for all measures and both trainings: compiling takes longer than running them.
_mantel = jax.jit(observables.mantel, static_argnames="permutations")


@jax.jit
def _r_cos_along(states: Array, signature: Array) -> Array:
    return jax.lax.map(lambda seed: jax.lax.map(lambda x: observables.r_cos(x, signature), seed), states)


@jax.jit
def _order_along(states: Array) -> Array:
    return jax.vmap(jax.vmap(observables.order))(states)


def _order_row(rows: np.ndarray, trained: Trajectory, null: Trajectory) -> Agreement:
    course, nulls = (np.asarray(_order_along(line.ys["embed"][:, :, rows])) for line in (trained, null))
    return Agreement("order of the anchors (Spearman)", course[:, -1], nulls[:, -1], None, course)


def _complete(data: Dataset) -> bool:
    """Whether every symbol stands in both positions; without that a table has no basis to look for."""
    return all(len(np.unique(column)) == data.vocab for column in np.asarray(data.tokens).T)


def _basis_rows(data: Dataset, trained: Trajectory, null: Trajectory) -> list[Agreement]:
    """How far units settle on one mode of the basis that the table's own statistics name; nothing where it has none."""
    basis = common_basis(position_signatures(data))
    if not basis.found:
        return []

    @jax.jit
    @jax.vmap
    @jax.vmap
    def dominant(table: Array) -> Array:
        return jnp.mean(jnp.max(basis.spectrum("first", table), axis=0))

    course, nulls = (np.asarray(dominant(line.ys["embed"])) for line in (trained, null))
    return [Agreement("power in a unit's dominant mode (embed)", course[:, -1], nulls[:, -1], None, course)]


def drawn_signature(task: AnyTask, sig: Signatures, focus: np.ndarray) -> tuple[str, np.ndarray]:
    """The label signature, or the context signature where label signatures do not tell the tokens apart."""
    name = "next-token signature" if isinstance(task, TextBigram) else "label signature"
    centred = np.asarray(sig.label[focus] - (sig.target[None] if isinstance(task, TextBigram) else 1 / sig.vocab))
    if np.ptp(centred, axis=0).max() > 1e-9 or isinstance(task, TextBigram):
        return f"{name} (centred)", centred
    return "context signature", np.asarray(sig.context[focus])


def facts(
    experiment: Experiment, data: Dataset, trained: Trajectory, lines: dict[str, Trajectory], seconds: float
) -> dict[str, Any]:
    """Scalars worth recording: accuracy beside chance, sizes, solver steps, where a theory was lost."""
    last = jax.tree.map(lambda leaf: leaf[:, -1], trained.ys)
    score = jax.jit(jax.vmap(lambda p: accuracy(experiment.model, data, p)))(last)
    facts: dict[str, Any] = {
        "accuracy by seed": [float(x) for x in score],
        "chance (most frequent label)": float(np.bincount(data.targets, data.weights).max()),
        "examples": data.size,
        "vocabulary": data.vocab,
        "seconds": seconds,
    }
    for name, line in lines.items():
        if "accepted" in line.info:
            facts[f"solver steps, {name}"] = np.asarray(line.info["accepted"]).tolist()
            lost = np.asarray(line.info["nonfinite_time"])
            if np.isfinite(lost).any():
                facts[f"not finite from, {name}"] = lost.tolist()
    if isinstance(experiment.task, TextBigram):
        population = experiment.task.population()
        facts |= {"coverage": population.coverage, "words": population.tokens, "text sha256": population.text_hash}
    return facts


def scope(task: AnyTask, data: Dataset) -> np.ndarray:
    """The tokens that agreement with signatures is measured over: the anchors, or all that occur."""
    anchors = getattr(task, "anchor_tokens", None)
    if anchors is not None:
        return np.asarray(anchors)
    return np.unique(np.asarray(data.tokens))


def focus(task: AnyTask, data: Dataset) -> np.ndarray:
    """The tokens that are drawn: at most 20 of the scope."""
    if isinstance(task, TextBigram):
        return np.asarray(task.most_frequent_tokens(min(20, data.vocab)))
    return scope(task, data)[:20]


def names(task: AnyTask, focus: np.ndarray) -> tuple[str, ...]:
    if isinstance(task, TextBigram):
        words = task.population().vocabulary.words
        return tuple(words[i] for i in focus)
    return tuple(str(i) for i in focus)


def pairs(task: AnyTask, focus: np.ndarray, sig: Signatures) -> tuple[tuple[int, int], ...]:
    """Neighbours, mid-range and far anchors; for a text the most, middle and least similar by signature."""
    n = len(focus)
    if n < 3:
        return ((0, n - 1),)
    if not isinstance(task, TextBigram):
        return ((0, 1), (0, n // 2), (0, n - 1))
    rows, columns = np.triu_indices(n, 1)
    similarity = np.asarray(observables.pair_cosines((sig.label - sig.target[None])[focus]))
    by = np.argsort(similarity, kind="stable")[[-1, len(similarity) // 2, 0]]
    return tuple((int(rows[i]), int(columns[i])) for i in by)
