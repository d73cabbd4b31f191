"""What an experiment on a task shows: which tokens, under which names, and how far weights follow signatures.

A task may say these things of itself, by attributes and methods of these names; what it leaves unsaid has a default:

- `anchor_tokens`: the tokens of interest, in an order; else all that occur, in no order.
- `drawn_tokens`: the tokens of a figure, at most 20; else the first of those of interest.
- `token_names`: the name of every token; else its number.
- `control(seed)` and `control_name`: data that should teach nothing, drawn by a seed; else shuffled labels.
- `signature_names`: of the label's and the token's signature; else "label" and "trace-back".
- `drawn_signature(sig, tokens)`: title and rows of the signature of a figure; else label signatures, or context
  signatures where those are all the same.
- `pairs_by_signature`: True draws cosines of the most, middle and least similar pair; else they are drawn of the first
  token with the second, the middle and the last.
- `two_symbols`: True for a table of two symbols, which may have a common basis.
- `facts()`: numbers worth recording.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .. import observables
from ..base import Dataset, Model, Task, Trajectory
from ..losses.population import accuracy
from ..statistics import Signatures, position_signatures
from ..tasks import shuffled
from ..theory.common_basis import common_basis
from .result import Agreement

DRAWN = 20
"""At most so many tokens are drawn."""
BASIS_LIMIT = 64
"""Symbols of a table up to which its common basis is looked for."""
JOINT_LIMIT = 2**22
"""Entries of the joint signatures of the observed tokens up to which they are compared with embeddings."""


def control_data(task: Task, data: Dataset, seed: int, seeds: int) -> list[Dataset]:
    """Data with the same tokens that should teach nothing, drawn anew for each of so many seeds.

    All have the same form, so that they train in one call: where their sizes differ, examples of weight 0 are added.
    """
    own = getattr(task, "control", partial(shuffled, data))
    drawn = [own(seed + i) for i in range(seeds)]
    sizes, samples = {each.size for each in drawn}, min(each.samples or data.size for each in drawn)
    if len(sizes) == 1:
        return [replace(each, samples=samples) for each in drawn]
    return [replace(_lengthened(each, max(sizes) + 1), samples=samples) for each in drawn]


def _lengthened(data: Dataset, size: int) -> Dataset:
    rows = np.minimum(np.arange(size), data.size - 1)
    weights = np.where(np.arange(size) < data.size, np.asarray(data.weights)[rows], 0)
    return replace(data, tokens=data.tokens[rows], targets=data.targets[rows], weights=weights)


def control_name(task: Task) -> str:
    """What the control's data are called."""
    return getattr(task, "control_name", "shuffled labels")


def scope(task: Task, data: Dataset) -> np.ndarray:
    """The tokens that agreement with signatures is measured over: the anchors, or all that occur."""
    anchors = getattr(task, "anchor_tokens", None)
    return np.unique(np.asarray(data.tokens)) if anchors is None else np.asarray(anchors)


def drawn(task: Task, data: Dataset) -> np.ndarray:
    """The tokens that are drawn."""
    own = getattr(task, "drawn_tokens", None)
    return (scope(task, data) if own is None else np.asarray(own))[:DRAWN]


def names(task: Task, tokens: np.ndarray) -> tuple[str, ...]:
    """Names of tokens."""
    own = getattr(task, "token_names", None)
    return tuple(str(i) if own is None else str(own[i]) for i in tokens)


def pairs(task: Task, tokens: np.ndarray, sig: Signatures) -> tuple[tuple[int, int], ...]:
    """Index pairs into the drawn tokens whose cosines are drawn as curves."""
    n = len(tokens)
    if n < 3:
        return ((0, n - 1),)
    if not getattr(task, "pairs_by_signature", False):
        return ((0, 1), (0, n // 2), (0, n - 1))
    rows, columns = np.triu_indices(n, 1)
    similarity = np.asarray(observables.pair_cosines((sig.label - sig.target[None])[tokens]))
    by = np.argsort(similarity, kind="stable")[[-1, len(similarity) // 2, 0]]
    return tuple((int(rows[i]), int(columns[i])) for i in by)


def drawn_signature(task: Task, sig: Signatures, tokens: np.ndarray) -> tuple[str, np.ndarray]:
    """Title and rows: the label signature, or the context signature where label signatures do not tell tokens apart."""
    own = getattr(task, "drawn_signature", None)
    if own is not None:
        return own(sig, tokens)
    centred = np.asarray(sig.label[tokens] - 1 / sig.vocab)
    if np.ptp(centred, axis=0).max() > 1e-9:
        return "label signature (centred)", centred
    return "context signature", np.asarray(sig.context[tokens])


def facts(
    task: Task, model: Model, data: Dataset, trained: Trajectory, lines: Mapping[str, Trajectory], seconds: float
) -> dict[str, Any]:
    """Scalars worth recording: accuracy beside chance, sizes, solver steps, where a theory was lost."""
    last = jax.tree.map(lambda leaf: leaf[:, -1], trained.ys)
    score = jax.jit(jax.vmap(lambda p: accuracy(model, data, p)))(last)
    return {
        "accuracy by seed": [float(x) for x in score],
        "chance (most frequent label)": float(np.bincount(data.targets, data.weights).max()),
        "examples": data.size,
        "vocabulary": data.vocab,
        "seconds": seconds,
        **solver_facts(lines),
        **getattr(task, "facts", dict)(),
    }


def solver_facts(lines: Mapping[str, Trajectory]) -> dict[str, Any]:
    """Solver steps of every integrated line, and where it was lost."""
    facts = {}
    for name, line in lines.items():
        if "accepted" in line.info:
            facts[f"solver steps, {name}"] = np.asarray(line.info["accepted"]).tolist()
            lost = np.asarray(line.info["nonfinite_time"])
            if np.isfinite(lost).any():
                facts[f"not finite from, {name}"] = lost.tolist()
    return facts


# --- agreement with signatures ---------------------------------------------------------------------------------------


def agreements(
    task: Task, data: Dataset, sig: Signatures, trained: Trajectory, null: Trajectory, seed: int
) -> tuple[Agreement, ...]:
    """How far trained weights follow each signature, and the order of anchors, beside the control's."""
    tokens = scope(task, data)
    labels = np.flatnonzero(np.asarray(sig.target) > 0)
    next_, prev = getattr(task, "signature_names", ("label", "trace-back"))
    rows: list[tuple[str, str, np.ndarray, Array]] = [
        (f"R_cos(embed, {next_} - 1/v)", "embed", tokens, (sig.label - 1 / sig.vocab)[tokens]),
        (f"R_cos(embed, {next_} - P(y))", "embed", tokens, (sig.label - sig.target[None])[tokens]),
        (f"R_cos(unembed, {prev} - r)", "unembed", labels, (sig.trace_back - sig.token[None])[labels]),
    ]
    if data.length > 1:  # a sequence of one token has no context but itself
        rows.insert(2, ("R_cos(embed, context)", "embed", tokens, sig.context[tokens]))
        if len(tokens) * sig.vocab**2 <= JOINT_LIMIT:
            joint = (sig.joint() - sig.context[:, :, None] / sig.vocab)[tokens]
            rows.insert(3, ("R_cos(embed, joint - context/v)", "embed", tokens, joint.reshape(len(tokens), -1)))
    key = jax.random.key(seed)
    measured = [_r_cos_row(*row, trained, null, key) for row in rows if row[1] in trained.ys]
    if hasattr(task, "anchor_tokens") and len(tokens) > 2:
        measured.append(_order_row(tokens, trained, null))
    if getattr(task, "two_symbols", False) and 2 < data.vocab <= BASIS_LIMIT and _complete(data):
        measured += _basis_rows(data, trained, null)
    return tuple(measured)


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
