"""The first steps of an attention-only transformer from zero weights."""

from dataclasses import dataclass
from functools import cached_property

import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ...corpus import python_documentation, read_text
from ...corpus.sequences import markov_sequences, sampled_sequences, shuffled_sequences, text_sequences
from ...losses.sequences import SequenceLoss, sequence_loss
from ...models import AttentionOnly
from ...statistics import SequenceSignatures, sequence_signatures
from ...theory import attention_only
from .rows import DRAWN, RowTheory


@dataclass(frozen=True)
class AttentionFirstSteps:
    """From zero weights the output matrix grows along the bigram statistics: rows are those of frequent tokens.

    Source: im2026associate.
    """

    corpus: str = "text"
    """text (frequent words of a text) or markov (a random Markov chain)."""
    text: str = ""
    """UTF-8 text file to read; empty for the documentation that ships with Python."""
    vocab: int = 60
    """Tokens of the corpus."""
    positions: int = 16
    """Labelled positions of a sequence."""
    examples: int = 64
    """Sequences."""
    layers: int = 2
    """Attention layers."""
    corpus_seed: int = 0
    """Of the chain, or of the choice of sequences."""
    length: float = 10.0
    """End of the run, flow time."""

    def __post_init__(self) -> None:
        AttentionOnly(self.layers)
        if self.corpus not in ("text", "markov"):
            raise ValueError(f"corpus: unknown {self.corpus!r}; choose text or markov")
        if self.vocab < 3:
            raise ValueError(f"vocab: need at least 3 tokens to compare, got {self.vocab}")
        if min(self.positions, self.examples) < 1:
            raise ValueError(f"positions, examples: must be at least 1, got {self.positions}, {self.examples}")
        if not 0 < self.length < float("inf"):
            raise ValueError(f"length: must be positive, got {self.length}; leading terms hold to about 10")

    def start(self, key: PRNGKeyArray) -> dict[str, Array]:
        """All weights zero, whatever the key."""
        return AttentionOnly(self.layers).init(key, self.vocab, self.positions)

    def loss(self) -> SequenceLoss:
        """Mean next-token cross-entropy over all positions."""
        return sequence_loss(AttentionOnly(self.layers), self._data[0], self.vocab)

    def end(self) -> float:
        """Flow time."""
        return self.length

    def rows(self, state: dict[str, Array]) -> Float[Array, "token width"]:
        """Rows of the output matrix of the most frequent tokens: what a token alone says of the next one."""
        return state["output"][self._frequent]

    def theories(self) -> dict[str, RowTheory]:
        """The leading term t B."""
        return {"leading term": self._theory(self._signatures(self._data[0]))}

    def controls(self) -> dict[str, RowTheory]:
        """The leading term of the same sequences with their tokens in random order."""
        return {
            "leading term, shuffled sequences": self._theory(self._signatures(shuffled_sequences(self._data[0], key=0)))
        }

    def names(self) -> tuple[str, ...]:
        """The drawn tokens."""
        return tuple(self._data[1][token] for token in self._frequent)

    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The most frequent token with the next three."""
        return tuple((0, second) for second in range(1, min(4, len(self._frequent))))

    def signature(self) -> tuple[str, np.ndarray]:
        """The bigram statistics of the drawn tokens."""
        return "bigram B", np.asarray(self._signatures(self._data[0]).bigram)[self._frequent]

    def _theory(self, sig: SequenceSignatures) -> RowTheory:
        solve = jax.vmap(attention_only.closed_form, (0, None, None))
        return lambda ts, start: solve(ts, start, sig)["output"][:, self._frequent]

    def _signatures(self, sequences: np.ndarray) -> SequenceSignatures:
        return sequence_signatures(sequences, self.vocab)

    @cached_property
    def _data(self) -> tuple[np.ndarray, tuple[str, ...]]:
        if self.corpus == "markov":
            sequences = markov_sequences(self.vocab, self.positions + 1, self.examples, key=self.corpus_seed)
            return sequences, tuple(map(str, range(self.vocab)))
        text = read_text(self.text) if self.text else python_documentation()
        whole, names, _ = text_sequences(text, self.vocab, self.positions + 1)
        return sampled_sequences(whole, self.examples, key=self.corpus_seed), names

    @cached_property
    def _frequent(self) -> np.ndarray:
        counts = np.bincount(self._data[0][:, :-1].ravel(), minlength=self.vocab)
        return np.argsort(-counts, kind="stable")[:DRAWN]
