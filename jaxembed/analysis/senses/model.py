"""The senses of a word in a model that somebody trained, beside one of its shape that nobody did."""

from pathlib import Path

import jax

from ...base import Progress, silent
from ...corpus import OnError
from ..foreign import read_decoder
from .result import WordResult
from .scores import SenseSizes, bag_hits, score_senses
from .texts import build_sense_task, read_sense_parts


def senses_of_model(
    place: str | Path,
    word: str,
    file: Path,
    *,
    length: int = 64,
    train: int = 600,
    test: int = 400,
    attention: bool = True,
    key: int = 0,
    on_error: OnError = "stop",
    progress: Progress = silent,
) -> WordResult:
    """Read a word's senses from a model's states, with all nulls.

    Args:
        place: see `foreign.read_decoder`.
        word: the ambiguous word.
        file: sentences in the form of CoarseWSD-20: a folder with training and test part, or one `NAME.data.txt`.
        length: tokens of a sentence at most.
        train: training sentences at most.
        test: test sentences at most.
        attention: whether attention is taken apart too.
        key: a whole number; of the choice of sentences, shuffles, patches and the untrained network.
        on_error: what becomes of damaged lines.
        progress: takes a line after each part.

    Raises:
        ValueError: for what cannot be read, or a word that the model cannot say.
    """
    parts = read_sense_parts(file, on_error=on_error, key=key)
    progress("reading the model")
    model, params, tokenizer = read_decoder(place)
    limits = {"most_train": train, "most_test": test, "length": length, "key": key}
    task = build_sense_task(word, *parts, tokenizer, **limits)
    with jax.enable_x64(False):
        fresh = model.init(jax.random.key(key), params["embed"].shape[0], length)
    progress("the trained model")
    trained = score_senses(task, model, params, SenseSizes(shuffles=5, dissect=attention), key=key)
    progress("one of its shape that nobody trained")
    untrained = score_senses(task, model, fresh, SenseSizes(dissect=attention, patch=False), key=key)
    return WordResult(task, bag_hits(task, tokenizer.unknown_token), (trained,), (untrained,))
