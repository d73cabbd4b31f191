"""Which tokens make up the batch of a step: a pure function of seed and step, so that nothing needs to be resumed."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Int


@dataclass(frozen=True)
class Order:
    """A stream of packed documents cut into sequences, every token predicted once in an epoch, each epoch shuffled.

    A sequence may hold the end of one document and the start of another: the end token is all that parts them.
    Neighbouring sequences share one token: the last label of one is the first input of the next. Where the stream is no
    multiple of the length, the cuts of every epoch start at another place, so that no token is left out for good.

    Attributes:
        tokens: of the stream.
        length: tokens that one sequence predicts.
        seed: of the shuffling.
    """

    tokens: int
    length: int
    seed: int

    def __post_init__(self) -> None:
        if self.tokens <= self.length:
            raise ValueError(
                f"length: a sequence needs {self.length + 1} tokens and the corpus has {self.tokens}; shorten it"
            )

    @property
    def sequences(self) -> int:
        """Sequences in an epoch."""
        return (self.tokens - 1) // self.length

    def starts(self, first: int, count: int) -> Int[np.ndarray, " sequence"]:
        """Where the sequences number `first` to `first + count - 1` of the whole run start in the stream."""
        places = []
        while count > 0:
            epoch, within = divmod(first, self.sequences)
            piece = _epoch(self, epoch)[within : within + count]
            places.append(piece)
            first, count = first + len(piece), count - len(piece)
        return np.concatenate(places)


@lru_cache(maxsize=4)
def _epoch(order: Order, epoch: int) -> Int[np.ndarray, " sequence"]:
    # Sorting the raw words of a counter-based generator: numpy promises these, but not its own permutations, for good.
    draws = np.random.Philox(key=[order.seed, epoch]).random_raw(order.sequences + 1)
    offset = int(draws[-1] % np.uint64((order.tokens - 1) % order.length + 1))
    return np.argsort(draws[:-1], kind="stable") * order.length + offset


def cut(
    ids: Int[np.ndarray, " position"], starts: Int[np.ndarray, " sequence"], length: int
) -> Int[np.ndarray, "sequence position"]:
    """The sequences of `length + 1` tokens that start at these places.

    >>> import numpy as np
    >>> cut(np.arange(10), np.array([4, 0]), 3)
    array([[4, 5, 6, 7],
           [0, 1, 2, 3]], dtype=int32)
    """
    return ids[starts[:, None] + np.arange(length + 1)[None, :]].astype(np.int32)
