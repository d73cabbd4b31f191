"""Word vectors of one text: trained, factorised, and their nulls; every one kept in a file.

`svd(..)` is the published name. The targets are symmetric and taken by their eigenpairs of largest value; negative
eigenvalues, which a singular value decomposition would keep by magnitude, are dropped.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import jax
import numpy as np

from ...machine import cores
from ...words import (
    Convention,
    Cooccurrence,
    Quadratic,
    Recipe,
    SkipGram,
    SparsePlusConstant,
    WordText,
    WordVectors,
    cooccurrence,
    eigenpairs,
    factor_vectors,
    pmi,
    ppmi,
    quadratic_target,
    read_vectors,
    train_sampled,
    write_vectors,
)
from ...words.factorise import Method
from .word_texts import text_digest

SKIP_GRAM, QWEM, TARGET = "skip-gram", "QWEM", "svd(M*)"
PPMI, PMI_SMALL, PMI_LARGE = "svd(PPMI)", "svd(PMI), smoothing 1e-25", "svd(PMI), smoothing 1e-2"
RANDOM, SHUFFLED = "random vectors", "svd(M*), words shuffled"
TRAINED = (SKIP_GRAM, QWEM)
NULLS = (RANDOM, SHUFFLED)
FACTORISED: dict[str, Callable[[Cooccurrence], SparsePlusConstant]] = {
    TARGET: quadratic_target,
    PPMI: ppmi,
    PMI_SMALL: partial(pmi, smoothing=1e-25),
    PMI_LARGE: partial(pmi, smoothing=1e-2),
}
MODELS = (*TRAINED, *FACTORISED, *NULLS)


@dataclass(frozen=True)
class Making:
    """How vectors are made.

    Attributes:
        width: d.
        window: on each side, with word2vec's weights by distance.
        skip_gram: passes and rate; None is the model's own.
        quadratic: the same.
        method: of the eigendecomposition; Lanczos needs no compilation.
    """

    width: int = 200
    window: int = 10
    skip_gram: Recipe | None = None
    quadratic: Recipe | None = None
    method: Method = "randomised"


@dataclass(eq=False)
class Cells:
    """The vectors of one text, made when they are asked for.

    Attributes:
        text: of lower-cased words.
        making: how.
        keep: folder of the files, whose names tell text and making; None keeps nothing.
        seconds: by model and seed, what was made here took so long, counting of pairs aside.
    """

    text: WordText
    making: Making
    keep: Path | None = None

    def __post_init__(self) -> None:
        self.seconds: dict[tuple[str, int], float] = {}
        self.counting = 0.0

    @cached_property
    def digest(self) -> str:
        """What tells these cells from those of another text or another making."""
        return hashlib.sha256(f"{text_digest(self.text)} {self.making}".encode()).hexdigest()[:16]

    @cached_property
    def pairs(self) -> Cooccurrence:
        """Counted once for all models."""
        began = time.perf_counter()
        found = cooccurrence(self.text, Convention(self.making.window), workers=cores())
        self.counting = time.perf_counter() - began
        return found

    def vectors(self, model: str, seed: int) -> WordVectors:
        """The vectors of a model and seed, read where they were kept."""
        file = None if self.keep is None else self._file(model, seed, ".bin")
        if file is not None and file.exists():
            return read_vectors(file)
        began, counted = time.perf_counter(), self.counting
        made = self._made(model, seed)
        self.seconds[model, seed] = time.perf_counter() - began - (self.counting - counted)
        if file is not None and model not in NULLS:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_vectors(file, made, binary=True)
        return made

    def _made(self, model: str, seed: int) -> WordVectors:
        width, key = self.making.width, jax.random.key(seed)
        if model == SKIP_GRAM:
            return train_sampled(
                self.text, SkipGram(width), self.making.skip_gram, key=key, keep=self._passes(model, seed)
            )
        if model == QWEM:
            return train_sampled(
                self.pairs, Quadratic(width), self.making.quadratic, key=key, keep=self._passes(model, seed)
            )
        if model in FACTORISED:
            target = FACTORISED[model](self.pairs)
            found = eigenpairs(target, width, method=self.making.method, workers=cores(), key=key)
            return factor_vectors(self.text.words, *found, facts={"target": target.name})
        rng, words = np.random.default_rng(seed), self.text.words
        if model == RANDOM:
            return WordVectors(words, rng.normal(size=(len(words), width)).astype(np.float32))
        return WordVectors(words, self.vectors(TARGET, 0).matrix[rng.permutation(len(words))])

    def _passes(self, model: str, seed: int) -> Path | None:
        if self.keep is None:
            return None
        self.keep.mkdir(parents=True, exist_ok=True)
        return self._file(model, seed, "_passes.npz")

    def _file(self, model: str, seed: int, end: str) -> Path:
        return Path(self.keep or ".") / f"{_plain(model)}_{seed}_{self.digest}{end}"


def _plain(model: str) -> str:
    """A file's name."""
    return "".join(sign if sign.isalnum() else "_" for sign in model)
