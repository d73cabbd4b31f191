"""Word vectors of one text: trained, factorised, and their nulls; every one kept in a file.

`svd(..)` is the published name. The targets are symmetric and taken by their eigenpairs of largest value; negative
eigenvalues, which a singular value decomposition would keep by magnitude, are dropped.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float

from ... import words
from ...keep import digest, kept_arrays
from ...machine import cores
from ...words import Cooccurrence, Recipe, SparsePlusConstant, WordText, WordVectors
from ...words.factorise import Method
from .word_texts import text_digest

SKIP_GRAM, QWEM, TARGET = "skip-gram", "QWEM", "svd(M*)"
PPMI, PMI_SMALL, PMI_LARGE = "svd(PPMI)", "svd(PMI), smoothing 1e-25", "svd(PMI), smoothing 1e-2"
RANDOM, SHUFFLED = "random vectors", "svd(M*), words shuffled"
TRAINED = (SKIP_GRAM, QWEM)
NULLS = (RANDOM, SHUFFLED)
FACTORISED: dict[str, Callable[[Cooccurrence], SparsePlusConstant]] = {
    TARGET: words.quadratic_target,
    PPMI: words.ppmi,
    PMI_SMALL: partial(words.pmi, smoothing=1e-25),
    PMI_LARGE: partial(words.pmi, smoothing=1e-2),
}
MODELS = (*TRAINED, *FACTORISED, *NULLS)


@dataclass(frozen=True)
class VectorRecipe:
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
class TextVectors:
    """The vectors of one text, each made when it is first needed.

    Attributes:
        text: of lower-cased words.
        recipe: how they are made.
        keep: folder of the files, whose names tell text and recipe; None keeps nothing.
        seconds: by model and seed, what was made here took so long, counting of pairs aside.
    """

    text: WordText
    recipe: VectorRecipe
    keep: Path | None = None

    def __post_init__(self) -> None:
        self.seconds: dict[tuple[str, int], float] = {}
        self._counting = 0.0

    @cached_property
    def digest(self) -> str:
        """What tells these vectors from those of another text or another recipe."""
        return digest(f"{text_digest(self.text)} {self.recipe}")[:16]

    @cached_property
    def pairs(self) -> Cooccurrence:
        """Counted once for all models."""
        began = time.perf_counter()
        found = words.cooccurrence(self.text, words.Convention(self.recipe.window), workers=cores())
        self._counting = time.perf_counter() - began
        return found

    def vectors(self, model: str, seed: int) -> WordVectors:
        """The vectors of a model and seed, read where they were kept; the nulls are drawn anew."""
        file = "".join(sign if sign.isalnum() else "_" for sign in f"{model}_{seed}")
        folder = None if model in NULLS else self.keep
        made = kept_arrays(folder, file, self.digest, lambda: {"matrix": self._timed(model, seed, file)})
        return WordVectors(self.text.words, made["matrix"])

    def _timed(self, model: str, seed: int, file: str) -> Float[np.ndarray, "token width"]:
        began, counted = time.perf_counter(), self._counting
        made = self._null(model, seed) if model in NULLS else self._made(model, seed, file)
        self.seconds[model, seed] = time.perf_counter() - began - (self._counting - counted)
        return made

    def _made(self, model: str, seed: int, file: str) -> Float[np.ndarray, "token width"]:
        recipe, key = self.recipe, jax.random.key(seed)
        passes = None if self.keep is None else self.keep / f"{file}_{self.digest}_passes.npz"
        if passes is not None:
            passes.parent.mkdir(parents=True, exist_ok=True)
        if model in TRAINED:
            kind, data, own = (
                (words.SkipGram, self.text, recipe.skip_gram)
                if model == SKIP_GRAM
                else (words.Quadratic, self.pairs, recipe.quadratic)
            )
            return words.train_sampled(kind(recipe.width), data, own, key=key, keep=passes).matrix
        target = FACTORISED[model](self.pairs)
        found = words.eigenpairs(target, recipe.width, method=recipe.method, workers=cores(), key=key)
        return words.factor_vectors(self.text.words, *found).matrix

    def _null(self, model: str, seed: int) -> Float[np.ndarray, "token width"]:
        rng, tokens = np.random.default_rng(seed), len(self.text.words)
        if model == RANDOM:
            return rng.normal(size=(tokens, self.recipe.width)).astype(np.float32)
        return self.vectors(TARGET, 0).matrix[rng.permutation(tokens)]
