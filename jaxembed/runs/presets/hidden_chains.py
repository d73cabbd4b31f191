"""Settings of hidden chains: hidden Markov models of tokens, and linear-Gaussian states seen as vectors.

The last item of a training sequence is read by no network, so that states are read one item before it.
"""

from typing import Literal

from ...decoding import DecodingSetting, Probing, TrainingRecipe
from ...models import Categorical, Gaussian, SequenceTransformer
from ...processes import HiddenMarkov, LinearGaussian

Reads = Literal["tokens", "reals"]
AT = (-2,)
OF_TOKENS, OF_REALS = ("belief", "filter", "viterbi", "state"), ("state_mean", "belief", "predictive_mean", "state")


def _tiny(reads: Reads) -> SequenceTransformer:
    return SequenceTransformer(16, 1, 2, 16, reads=reads)


def _quick(reads: Reads) -> SequenceTransformer:
    return SequenceTransformer(64, 2, 4, 64, reads=reads)


# Chains that linger: with the published transitions one token already says nearly all there is to know of the state.
LINGERING = HiddenMarkov(states=4, vocab=16, linger=0.8)
# More views than states: prediction then demands the whole state, not a projection of it.
SEEN = LinearGaussian(states=2, dimension=3, radius=0.8, item_noise=1.5)

HIDDEN_CHAINS: dict[str, dict[str, DecodingSetting]] = {
    "hmm": {
        "tiny": DecodingSetting(
            HiddenMarkov(states=3, vocab=6, linger=0.8),
            TrainingRecipe(_tiny("tokens"), Categorical(), 32, 20, steps=400, learning_rate=1e-2, save_steps=(100,)),
            Probing(OF_TOKENS, AT, train=300, validation=100, test=200),
            ("belief", "L2"),
            "seconds; the path, not the figure",
        ),
        "quick": DecodingSetting(
            LINGERING,
            TrainingRecipe(
                _quick("tokens"),
                Categorical(),
                batch=16,
                steps=2500,
                learning_rate=3e-3,
                warmup=200,
                final_ratio=0.05,
                save_steps=(250, 1000),
            ),
            Probing(OF_TOKENS, AT, train=1500),
            ("belief", "L2"),
            "over 0.8 of the gap in L2 of the belief; 5 minutes on two cores for 3 seeds",
        ),
        "published": DecodingSetting(
            HiddenMarkov(),
            TrainingRecipe(
                SequenceTransformer(norm="post", dropout=0.1),
                Categorical(),
                length=500,
                steps=40_000,
                warmup=500,
                save_steps=(1000, 10_000),
            ),
            Probing(OF_TOKENS, AT, train=3000),
            ("belief", "L2"),
            "L2 of the belief below the last token's 0.017; hours on a GPU",
        ),
    },
    "linear-gaussian": {
        "tiny": DecodingSetting(
            LinearGaussian(states=2, dimension=3, item_noise=2.0),
            TrainingRecipe(_tiny("reals"), Gaussian(), 32, 20, steps=400, learning_rate=1e-2),
            Probing(("state_mean", "state"), AT, train=300, validation=100, test=200),
            ("state_mean", "R2"),
            "seconds; the path, not the figure",
        ),
        "quick": DecodingSetting(
            SEEN,
            TrainingRecipe(
                _quick("reals"),
                Gaussian(),
                batch=16,
                steps=5000,
                learning_rate=3e-3,
                warmup=100,
                final_ratio=0.05,
                save_steps=(500, 1500),
            ),
            Probing(OF_REALS, AT, train=1500),
            ("state_mean", "R2"),
            "R2 of the Kalman mean about 0.93; 5 minutes for 3 seeds on one core",
        ),
        "published": DecodingSetting(
            SEEN,
            TrainingRecipe(
                SequenceTransformer(norm="post", dropout=0.1, reads="reals"),
                Gaussian(),
                length=500,
                steps=40_000,
                warmup=500,
                save_steps=(1000,),
            ),
            Probing(OF_REALS, AT, train=3000),
            ("state_mean", "R2"),
            "R2 of the Kalman mean above 0.95; hours on a GPU",
        ),
    },
}
