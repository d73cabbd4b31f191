"""Hidden states: targets about one token, what can be known of them before and after it, and what a probe says."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ...decoding import DecodingScore, Probing
from ...decoding.decode import majority
from ...decoding.probing import last_item, predicted
from ...decoding.scores import CEILING, CONSTANT, LAST_ITEM, MODEL, SHUFFLED
from ...probes import scores
from ...processes import HiddenMarkov
from ...processes.hidden_markov import filter_states, path_scores

EMBEDDINGS = ("token withheld", "token seen")
"""The embedding just before a token, and the one just after it."""
BELIEF, FILTER, VITERBI, SMOOTHER, STATE, TWICE = (
    "belief",
    "filter",
    "viterbi",
    "smoother",
    "state",
    "belief, last token twice",
)
TARGETS = (BELIEF, FILTER, VITERBI, SMOOTHER, STATE, TWICE)
"""About the token: p(state) before it, p(state) after it, the last state of the best path through it, p(state before)
after it, the state itself, and, as a wrong variant, the first with the last token's likelihood taken twice."""
STATISTIC = "exact belief"
"""A source beside those of every decoding: the same probe, of the exact belief in place of the network's state; on
data of another prior it is the belief that the own prior would form there."""
TRANSFER = "probe of own data"
"""A source out of distribution: the probe that was fitted on the process of training."""
OWN_PRIOR = "belief of the own prior"
"""A source out of distribution, read by no probe: what exact inference with the prior of training says."""


class HiddenStateTarget(NamedTuple):
    """One target, `[sequence, state]`, and the best guesses of it from what an embedding has read.

    Attributes:
        truth: the target.
        guess: by embedding, its mean given what was read: best in L2 and KL.
        votes: by embedding, the probability that its argmax is each state: best in accuracy.
    """

    truth: Float[np.ndarray, "sequence state"]
    guess: dict[str, Float[np.ndarray, "sequence state"]]
    votes: dict[str, Float[np.ndarray, "sequence state"]]


def state_targets(
    process: HiddenMarkov,
    world: dict[str, Array],
    items: Int[Array, "sequence position"],
    states: Float[Array, "sequence position state"],
    position: int,
) -> dict[str, HiddenStateTarget]:
    """Every target about the token after `position`, by sums over all tokens that could stand there.

    Args:
        process: whose exact posterior is meant.
        world: the same.
        items: tokens.
        states: that produced them, one-hot.
        position: n of the embedding from which the token n + 1 is withheld.
    """
    weights, by_token = jax.device_get(_by_next_token(*process.parts(world), items[:, : position + 1]))
    token = np.asarray(items[:, position + 1])
    targets = {}
    for name, values in by_token.items():
        truth = values[np.arange(len(token)), token]
        votes = np.eye(process.states)[values.argmax(axis=-1)]
        withheld = [np.einsum("iv,ivk->ik", weights, each) for each in (values, votes)]
        before, after = EMBEDDINGS
        targets[name] = HiddenStateTarget(
            truth, {before: withheld[0], after: truth}, {before: withheld[1], after: truth}
        )
    best = {EMBEDDINGS[0]: targets[BELIEF].truth, EMBEDDINGS[1]: targets[FILTER].truth}
    targets[STATE] = HiddenStateTarget(np.asarray(states[:, position + 1]), best, best)
    return {name: targets[name] for name in TARGETS}


@jax.jit
def _by_next_token(
    start: Array, chain: Array, emission: Array, items: Int[Array, "sequence position"]
) -> tuple[Float[Array, "sequence token"], dict[str, Float[Array, "sequence token state"]]]:
    """p(next token | items), and every target for every next token."""
    likelihood = emission.T[items]
    now = filter_states(start, chain, likelihood)[0][:, -1]
    paths = path_scores(jnp.log(start), jnp.log(chain), jnp.log(likelihood))[0][:, -1]
    belief = now @ chain
    weights = belief @ emission
    into = jnp.max(paths[:, :, None] + jnp.log(chain)[None], axis=1)[:, None, :] + jnp.log(emission.T)[None]
    twice = now * likelihood[:, -1]
    twice = (twice / jnp.sum(twice, axis=1, keepdims=True)) @ chain
    shape = (*weights.shape, len(start))
    by_token = {
        BELIEF: jnp.broadcast_to(belief[:, None, :], shape),
        FILTER: _shares(belief[:, None, :] * emission.T[None]),
        SMOOTHER: _shares(now[:, None, :] * (chain @ emission).T[None]),
        VITERBI: jax.nn.one_hot(jnp.argmax(into, axis=-1), len(start), dtype=now.dtype),
        TWICE: jnp.broadcast_to(twice[:, None, :], shape),
    }
    return weights, by_token


def _shares(joint: Float[Array, "sequence token state"]) -> Float[Array, "sequence token state"]:
    """Divided by their sums; a token that cannot come keeps zeros, for its weight is zero."""
    total = jnp.sum(joint, axis=-1, keepdims=True)
    return jnp.where(total > 0, joint / jnp.where(total > 0, total, 1.0), 0.0)


def grid_scores(
    targets: dict[str, HiddenStateTarget],
    states: dict[str, dict[str, Float[np.ndarray, "sequence width"]]],
    items: Int[np.ndarray, "sequence position"],
    vocab: int,
    position: int,
    probing: Probing,
    key: Array,
) -> list[DecodingScore]:
    """The scores of every target from both embeddings, from every source.

    Args:
        targets: from `state_targets`.
        states: by embedding and source (`MODEL`, `UNTRAINED`, `STATISTIC`), what a probe reads.
        items: tokens.
        vocab: how many there are.
        position: of the embedding from which the token is withheld.
        probing: sizes of the three parts.
        key: of the shuffling.
    """
    rows = []
    order = np.asarray(jax.random.permutation(key, probing.train))
    for embedding, at in zip(EMBEDDINGS, (position, position + 1), strict=True):
        sources = {LAST_ITEM: last_item(items, at, vocab, probing.train), **states[embedding]}
        truths = {target: about.truth for target, about in targets.items()}
        for target, answers in probe_answers(sources, truths, order, probing).items():
            truth = probing.parts(targets[target].truth)[2]
            votes = probing.parts(targets[target].votes[embedding])[2]
            answers[CEILING] = probing.parts(targets[target].guess[embedding])[2]
            better = {
                CONSTANT: majority("distribution", targets[target].truth[: probing.sequences], truth)["accuracy"],
                CEILING: float(np.mean(votes.argmax(axis=1) == truth.argmax(axis=1))),
            }
            for source, guess in answers.items():
                rows += scores_of(f"{embedding}: {target}", at, source, guess, truth, better.get(source))
    return rows


def probe_answers(
    sources: dict[str, np.ndarray], truths: dict[str, np.ndarray], order: np.ndarray, probing: Probing
) -> dict[str, dict[str, Float[np.ndarray, "sequence state"]]]:
    """What probes of every source, of shuffled targets, and the training mean say of the test part, by target."""
    answers: dict[str, dict[str, np.ndarray]] = {target: {} for target in truths}
    pairs = [(source, target, sources[source], truths[target]) for source in sources for target in truths]
    for target, truth in truths.items():
        train, validation, tested = probing.parts(truth)
        answers[target][CONSTANT] = np.broadcast_to(train.mean(axis=0), tested.shape)
        shuffled = np.concatenate([train[order], np.roll(validation, 1, axis=0), tested])
        pairs.append((SHUFFLED, target, sources[MODEL], shuffled))
    width = max(read.shape[1] for read in sources.values())
    for source, target, read, truth in pairs:
        answers[target][source] = _probed(read, truth, probing, width)
    return answers


def _probed(read: np.ndarray, truth: np.ndarray, probing: Probing, width: int) -> Float[np.ndarray, "sequence state"]:
    """What a linear probe says about the test part; it draws nothing, so that its key does not matter."""
    # Constant columns, which a probe leaves out, make all widths one: then one compiled fit serves every source.
    padded = np.pad(read[: probing.sequences], ((0, 0), (0, width - read.shape[1]))).astype(np.float32)
    x, x_val, x_test = (jnp.asarray(part) for part in probing.parts(padded))
    y, y_val = (jnp.asarray(part, jnp.float32) for part in probing.parts(truth)[:2])
    return predicted("distribution", "linear", jax.random.key(0), (x, x_val, x_test), (y, y_val))


def scores_of(
    name: str, position: int, source: str, guess: np.ndarray, truth: np.ndarray, accuracy: float | None = None
) -> list[DecodingScore]:
    """The scores of one guess, with another accuracy where the best guess of the argmax is another one."""
    by_metric = scores("distribution", np.asarray(guess), truth)
    if accuracy is not None:
        by_metric["accuracy"] = accuracy
    layer = step = None
    return [DecodingScore(name, position, layer, step, source, metric, (value,)) for metric, value in by_metric.items()]


def statistic(belief: Float[Array | np.ndarray, "sequence state"]) -> Float[np.ndarray, "sequence width"]:
    """The exact belief as a probe reads it: its probabilities, and their logarithms for the softmax."""
    values = np.asarray(belief)
    return np.concatenate([values, np.log(np.maximum(values, 1e-12))], axis=1)


def shifted_scores(
    process: HiddenMarkov,
    world: dict[str, Array],
    read: dict[str, np.ndarray],
    own: tuple[np.ndarray, np.ndarray],
    items: Int[Array, "sequence position"],
    position: int,
    probing: Probing,
    key: Array,
) -> list[DecodingScore]:
    """The belief on data of the shifted process: that of either prior, with the probe fitted anew or on own data.

    Args:
        process: of the training.
        world: of both processes.
        read: by source (`MODEL`, `UNTRAINED`), the states at `position` on the shifted data.
        own: the trained network's states on own data, and the exact belief there.
        items: the shifted data.
        position: n of the embedding.
        probing: sizes of the three parts.
        key: of the shuffling.
    """
    tokens = last_item(np.asarray(items), position, process.vocab, probing.train)
    order = np.asarray(jax.random.permutation(key, probing.train))
    fitted, at = probing.fitted, (position,)
    beliefs = {
        f"shifted data: belief of the {prior} prior": np.asarray(of.exact(world, items, (BELIEF,), at)[BELIEF])[:, 0]
        for prior, of in (("own", process), ("shifted", process.shifted()))
    }
    both = np.concatenate([own[0][:fitted], read[MODEL][fitted:]])
    moved = probe_answers({MODEL: both}, {BELIEF: own[1]}, order, probing)[BELIEF][MODEL]
    own_belief, rows = next(iter(beliefs.values())), []
    sources = {**read, LAST_ITEM: tokens, STATISTIC: statistic(own_belief)}
    more = {TRANSFER: moved, OWN_PRIOR: probing.parts(own_belief)[2]}
    for name, answers in probe_answers(sources, beliefs, order, probing).items():
        truth = probing.parts(beliefs[name])[2]
        for source, guess in (answers | more | {CEILING: truth}).items():
            rows += scores_of(name, position, source, guess, truth)
    return rows
