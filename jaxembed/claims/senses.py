"""Claims on an ambiguous word in its sentences, read from decoders trained here."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from .evidence import Claim, Evidence

WITHOUT = "JAXEMBED_DATA" not in os.environ
SEEDS = "networks (not run: JAXEMBED_DATA is not set)" if WITHOUT else "networks (init, data order)"


def _pseudoword(full: bool) -> Any:
    """Two words of the built-in text in one spelling."""
    from ..studies.language.senses import senses

    return senses("tiny", seeds=3)


def _words(full: bool) -> Any:
    """Six words of CoarseWSD-20 and a pseudo-word, or nothing where the data are not there."""
    from ..studies.language.senses import senses

    return None if WITHOUT else senses("normal", seeds=3)


STUDIES: dict[str, Callable[[bool], Any]] = {"senses": _pseudoword, "senses_words": _words}


def _gain(over: str) -> Callable[[Any], Evidence]:
    """Of the best depth at the word, over a null; the mean over words."""

    def measure(result: Any) -> Evidence:
        from ..analysis.senses.probes import balanced_mean

        if result is None:
            return Evidence(np.array([np.nan]), None, "1 - 1 / senses", varied=SEEDS)
        gains = np.mean([balanced_mean(word.gain(over), word.senses) for word in result.words], axis=0)
        null = np.mean(
            [balanced_mean(word.shuffled(), word.senses) - word.task.chance for word in result.words], axis=0
        )
        varied = SEEDS if len(result.words) > 1 else "networks (init, data order)"
        return Evidence(gains, null, "1 - 1 / senses", least=1e-9, varied=varied)

    return measure


def _mixture(result: Any) -> Evidence:
    """Relative error in the first layer, where it is an identity; the null is equal weights."""
    scores = np.array([one.attention["first layer"]["by attention"] for one in result.words[0].trained])
    return Evidence(scores[:, 0, 1], scores[:, 1, 1], "0", most=1e-3, varied="networks (init, data order)")


CLAIMS = (
    Claim("senses-pseudoword", "a decoder's states tell which of two words a pseudo-word was, its static embedding "
          "cannot (gain in balanced accuracy; null: shuffled senses)", "jaxembed", "none", "senses", _gain("static")),
    Claim("senses-mixture", "what attention adds to a word in the first layer is the attention-weighted mixture of "
          "its context's embeddings (relative error; null: equal weights)", "jaxembed", "identity", "senses", _mixture),
    Claim("senses-words", "senses of six ambiguous words and a pseudo-word can be told from the best layer, not from "
          "the static embedding (gain in balanced accuracy, mean over words)", "jaxembed", "none", "senses_words",
          _gain("static"), full=True),
    Claim("senses-training", "training tells senses apart beyond what an untrained decoder's mixture of context gives "
          "(gain over the untrained, mean over words)", "jaxembed", "none", "senses_words", _gain("untrained"),
          full=True),
    Claim("senses-counts", "the trained state tells more than counts of the same left words (gain, mean over words)",
          "jaxembed", "none", "senses_words", _gain("left counts"), full=True),
)  # fmt: skip
