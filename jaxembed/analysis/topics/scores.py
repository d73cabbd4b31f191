"""All scores of one network, and all references that need none, as arrays that a folder can keep."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from ...corpus import Tokenizer
from ...studies.measured import silent
from .probes import METRICS, bag_of_tokens, by_last_token, majority, probed, scored, split_of
from .states import POOLINGS, States, places
from .texts import Part, Targets

REFERENCES = ("majority", "last token only", "bag of tokens", "another LDA fit")
"""Nulls, then what the same tokens allow without a network, then how far two LDA fits agree."""
EMBEDDINGS = "average of embeddings"
READ = (*POOLINGS, EMBEDDINGS)
"""What is read from a network: its last layer, and the embedding's average, which knows nothing of order."""
DEEP = ("last", "average")
"""Poolings that are followed through the layers."""

Arrays = dict[str, np.ndarray]
ByTopics = dict[int, list[Targets]]


def network_scores(
    train: States, test: States, targets: ByTopics, *, shuffled: bool = True, progress: Callable[[str], None] = silent
) -> Arrays:
    """What can be read from one network.

    Args:
        train: states of the training documents.
        test: of the test documents.
        targets: mixtures by number of topics; the first number is the main one.
        shuffled: whether probes of shuffled targets are fitted too.
        progress: called with a line after each part.

    Returns:
        "K NAME" for the names of `READ`, and "K shuffled targets": `[fit, metric]`; "layers POOLING": `[layer, metric]`
        of the main K and the first fit; "right" and "losses": `[position, document]`, of the test documents; "loss":
        nats per token of them.
    """
    found: Arrays = {"loss": np.array(test.loss), "losses": test.losses}
    for size, fits in targets.items():
        for name in READ:
            pair = _read(train, name), _read(test, name)
            found[f"{size} {name}"] = np.stack([_probed(*pair, fit, seed) for seed, fit in enumerate(fits)])
        if shuffled:
            pair = _read(train, "average"), _read(test, "average")
            mixed = [_shuffled(fit, seed) for seed, fit in enumerate(fits)]
            found[f"{size} shuffled targets"] = np.stack([_probed(*pair, fit, seed) for seed, fit in enumerate(mixed)])
        progress(f"probes of {size} topics: done")
    main = next(iter(targets.values()))[0]
    for pooling in DEEP:
        depths = zip(train.pooled[:, POOLINGS.index(pooling)], test.pooled[:, POOLINGS.index(pooling)], strict=True)
        found[f"layers {pooling}"] = np.stack([_probed(*pair, main, 0) for pair in depths])
    progress("probes of all layers: done")
    tops = main.test.argmax(axis=1)
    split = split_of(len(main.train), 0)
    read = [probed(*pair, main.train, split) for pair in zip(train.along, test.along, strict=True)]
    return found | {"right": np.stack([one.argmax(axis=1) == tops for one in read])}


def _read(states: States, name: str) -> Float[np.ndarray, "document width"]:
    depth, pooling = (0, "average") if name == EMBEDDINGS else (-1, name)
    return states.pooled[depth, POOLINGS.index(pooling)]


def _probed(train: np.ndarray, test: np.ndarray, fit: Targets, seed: int) -> Float[np.ndarray, " dimension"]:
    return scored(probed(train, test, fit.train, split_of(len(train), seed)), fit.test)


def _shuffled(fit: Targets, seed: int) -> Targets:
    order = np.random.default_rng(seed).permutation(len(fit.train))
    return Targets(fit.train[order], fit.test)


def reference_scores(train: Part, test: Part, fits: list[Targets], tokenizer: Tokenizer, shares: int) -> Arrays:
    """What can be known of the topics without a network.

    Args:
        train: documents to learn from.
        test: documents to score.
        fits: mixtures of one number of topics, fitted now.
        tokenizer: of the documents.
        shares: relative positions of "prefix"; 0 leaves it out.

    Returns:
        `[fit, metric]` for the names of `REFERENCES` ("another LDA fit" is NaN for a single fit), and "prefix",
        `[position]`: how often LDA's own inference from the tokens read so far has the document's top topic.
    """
    bags = bag_of_tokens(train.ids, test.ids, tokenizer.vocab)
    rows = [_references(train, test, fits, seed, bags, tokenizer.vocab) for seed in range(len(fits))]
    found = {name: np.stack([row[name] for row in rows]) for name in REFERENCES}
    if shares:
        found["prefix"] = _prefix_accuracy(test, fits[0], tokenizer, places(test.lengths, shares))
    return found


def _references(
    train: Part, test: Part, fits: list[Targets], seed: int, bags: tuple[np.ndarray, np.ndarray], vocab: int
) -> dict[str, Float[np.ndarray, " dimension"]]:
    fit, other, split = fits[seed], fits[(seed + 1) % len(fits)], split_of(len(train), seed)
    last = [np.array([ids[-1] for ids in part.ids]) for part in (train, test)]
    known = scored(by_last_token(last[0], last[1], fit.train, split, vocab), fit.test)
    agreed = np.full(len(METRICS), np.nan)
    if len(fits) > 1:
        agreed = scored(probed(np.log(other.train), np.log(other.test), fit.train, split), fit.test)
    return {
        "majority": majority(fit.train, fit.test),
        "last token only": known,
        "bag of tokens": _probed(*bags, fit, seed),
        "another LDA fit": agreed,
    }


def _prefix_accuracy(
    test: Part, fit: Targets, tokenizer: Tokenizer, at: Int[np.ndarray, "document position"]
) -> Float[np.ndarray, " position"]:
    assert fit.model is not None
    tops, found = fit.test.argmax(axis=1), []
    for stops in at.T:
        texts = (tokenizer.decode(ids[:stop]) for ids, stop in zip(test.ids, stops, strict=True))
        found.append(np.mean(fit.model.mixtures(texts).argmax(axis=1) == tops))
    return np.array(found)
