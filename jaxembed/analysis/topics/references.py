"""What can be known of a document's topics without a network, as arrays that a folder can keep."""

import numpy as np
from jaxtyping import Float, Int

from ...corpus import Tokenizer
from .probes import (
    METRICS,
    bag_of_tokens,
    predict_by_last_token,
    probe_mixtures,
    score_majority,
    score_mixtures,
    score_probe,
    split_documents,
)
from .states import places
from .texts import DocumentSet, TopicTargets

REFERENCES = ("majority", "last token only", "bag of tokens", "another LDA fit")
"""Nulls, then what the same tokens allow without a network, then how far two LDA fits agree."""

Arrays = dict[str, np.ndarray]


def score_references(
    train: DocumentSet, test: DocumentSet, fits: list[TopicTargets], tokenizer: Tokenizer, shares: int
) -> Arrays:
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
    train: DocumentSet,
    test: DocumentSet,
    fits: list[TopicTargets],
    seed: int,
    bags: tuple[np.ndarray, np.ndarray],
    vocab: int,
) -> dict[str, Float[np.ndarray, " metric"]]:
    fit, other, split = fits[seed], fits[(seed + 1) % len(fits)], split_documents(len(train), seed)
    last = [np.array([ids[-1] for ids in part.ids]) for part in (train, test)]
    known = score_mixtures(predict_by_last_token(last[0], last[1], fit.train, split, vocab), fit.test)
    agreed = np.full(len(METRICS), np.nan)
    if len(fits) > 1:
        agreed = score_mixtures(probe_mixtures(np.log(other.train), np.log(other.test), fit.train, split), fit.test)
    return {
        "majority": score_majority(fit.train, fit.test),
        "last token only": known,
        "bag of tokens": score_probe(*bags, fit, seed),
        "another LDA fit": agreed,
    }


def _prefix_accuracy(
    test: DocumentSet, fit: TopicTargets, tokenizer: Tokenizer, at: Int[np.ndarray, "document position"]
) -> Float[np.ndarray, " position"]:
    assert fit.model is not None
    tops, found = fit.test.argmax(axis=1), []
    for stops in at.T:
        texts = (tokenizer.decode(ids[:stop]) for ids, stop in zip(test.ids, stops, strict=True))
        found.append(np.mean(fit.model.mixtures(texts).argmax(axis=1) == tops))
    return np.array(found)
