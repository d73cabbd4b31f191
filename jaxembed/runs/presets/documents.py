"""Settings of documents: words from a mixture of topics, alone or amid the words of a grammar."""

from typing import Any

from ...decoding import DecodingSetting, Probing, TrainingRecipe
from ...models import Categorical, SequenceTransformer
from ...processes import HmmLda, LatentDirichlet

PLACE = (-2,)
"""The state at the last word predicts nothing, so it is not trained: a document is read one before."""
MAIN = ("mixture", "L2")
PUBLISHED = SequenceTransformer(128, 4, norm="post", dropout=0.1)


FULL = Probing(MAIN[:1], PLACE)
QUICK = Probing(MAIN[:1], PLACE, loss_draws=200)
"""The floor comes from a particle filter."""
FEW = Probing(MAIN[:1], PLACE, train=600, validation=200, test=250, loss_draws=250)
"""Of size tiny: in one part of the exact filter, and as many columns of words as of states, so that little compiles."""


def _setting(process: Any, recipe: TrainingRecipe, expect: str, probing: Probing) -> DecodingSetting:
    return DecodingSetting(process, recipe, probing, MAIN, expect)


def _topics(size: str) -> DecodingSetting:
    if size == "published":
        # One word more than published: the state read has seen 100.
        recipe = TrainingRecipe(PUBLISHED, Categorical(), length=101, steps=20_000, warmup=500)
        return _setting(LatentDirichlet(), recipe, "accuracy 0.83 published, 0.87 possible; hours on two cores", FULL)
    if size == "quick":
        recipe = TrainingRecipe(SequenceTransformer(64, 2, 4, 128), Categorical(), 16, steps=600, learning_rate=3e-3)
        process = LatentDirichlet(vocab=200, beta=0.1, sweeps=150, particles=500)
        return _setting(process, recipe, "share of the gap in L2 about 0.95; about 2 minutes", QUICK)
    recipe = TrainingRecipe(SequenceTransformer(32, 1, 2, 32), Categorical(), 16, 16, steps=250, learning_rate=1e-2)
    return _setting(LatentDirichlet(3, 32, beta=0.1), recipe, "share of the gap in L2 about 0.7; seconds", FEW)


def _hmm_topics(size: str) -> DecodingSetting:
    if size == "published":
        recipe = TrainingRecipe(PUBLISHED, Categorical(), length=401, steps=20_000, warmup=500)
        return _setting(
            HmmLda(), recipe, "the mixture is read from a semantic share of 0.4 on; hours on two cores", FULL
        )
    if size == "quick":
        recipe = TrainingRecipe(SequenceTransformer(64, 2, 4, 128), Categorical(), 16, steps=800, learning_rate=3e-3)
        process = HmmLda(vocab=200, beta=0.1, emission=0.1, share=0.5, sweeps=150, particles=500)
        return _setting(process, recipe, "share of the gap in L2 about 0.9; about 3 minutes", QUICK)
    recipe = TrainingRecipe(SequenceTransformer(32, 1, 2, 32), Categorical(), 16, 16, steps=250, learning_rate=1e-2)
    process = HmmLda(3, 32, beta=0.1, emission=0.1, share=0.7)
    return _setting(process, recipe, "share of the gap in L2 above 0.3; seconds", FEW)


DOCUMENTS = {"topics": _topics, "hmm-topics": _hmm_topics}
"""By name, what makes a setting of a size."""
