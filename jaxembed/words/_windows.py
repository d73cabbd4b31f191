"""A text cut into pieces of consecutive words with their surroundings: what sampled skip-gram reads."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from .pairs import Convention
from .text import WordText

PIECE = 64
"""Words of a piece: many enough that their products with a window and the negatives they share are matrix products."""
OUTSIDE = -1
"""The document of places that are no text."""


@dataclass(frozen=True, eq=False)
class Windows:
    """One pass over a thinned text: its pieces, by where they begin, in the order they are read.

    Attributes:
        ids: `[position]`, int32, words with room for a window before and after.
        documents: `[position]`, int32, the document of each, `OUTSIDE` where there is no text.
        starts: `[time example]`, int32, where the surroundings of every piece of every step begin.
        reach: places of a piece and its surroundings.
    """

    ids: Int[np.ndarray, " position"]
    documents: Int[np.ndarray, " position"]
    starts: Int[np.ndarray, "time example"]
    reach: int

    @property
    def steps(self) -> int:
        return len(self.starts)

    def read(self, first: int, count: int) -> tuple[Int[np.ndarray, "..."], Int[np.ndarray, "..."]]:
        """Words and documents `[time, example, position]` of `count` steps; steps past the end are no text."""
        starts = self.starts[first : first + count]
        places = starts[:, :, None] + np.arange(self.reach)[None, None]
        after = ((0, count - len(starts)), (0, 0), (0, 0))
        documents = np.pad(self.documents[places], after, constant_values=OUTSIDE)
        return np.pad(self.ids[places], after), documents


def windows(text: WordText, convention: Convention, pieces: int, rng: np.random.Generator) -> Windows:
    """Thin the text by chance and cut it, for one pass.

    As in word2vec, a frequent word that is left out is gone before windows are laid, so that they widen over it.

    Args:
        text: the words.
        convention: window and `subsample`.
        pieces: that make one step.
        rng: decides what is left out and the order of the pieces.
    """
    lengths = np.diff(text.ends, prepend=0)
    document = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    ids = text.ids
    if convention.subsample is not None:
        kept = rng.random(len(ids), np.float32) < convention.kept(text.counts).astype(np.float32)[ids]
        ids, document = ids[kept], document[kept]
    margin = convention.window
    count = -(-len(ids) // PIECE)
    whole = -(-count // pieces) * pieces
    around = (margin, whole * PIECE - len(ids) + margin)
    order = rng.permutation(whole).astype(np.int32).reshape(-1, pieces) * PIECE
    return Windows(np.pad(ids, around), np.pad(document, around, constant_values=OUTSIDE), order, PIECE + 2 * margin)
