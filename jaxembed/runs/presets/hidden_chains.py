"""Settings of hidden chains: hidden Markov models of tokens, and linear-Gaussian states seen as vectors.

The last item of a training sequence is read by no network, so that states are read one item before it.
"""

from ...decoding import DecodingSetting, Probing, TrainingRecipe
from ...models import Categorical, Gaussian, SequenceTransformer
from ...processes import HiddenMarkov, LinearGaussian

AT = (-2,)
OF_TOKENS, OF_REALS = ("belief", "filter", "viterbi", "state"), ("state_mean", "belief", "predictive_mean", "state")
# Chains that linger: with the published transitions one token already says nearly all there is to know of the state.
LINGERING = HiddenMarkov(states=4, vocab=16, linger=0.8)
# More views than states: prediction then demands the whole state, not a projection of it.
SEEN = LinearGaussian(states=2, dimension=3, radius=0.8, item_noise=1.5)


def _hmm(size: str) -> DecodingSetting:
    main, tokens = ("belief", "L2"), Categorical()
    if size == "published":
        network = SequenceTransformer(norm="post", dropout=0.1)
        recipe = TrainingRecipe(network, tokens, length=500, steps=40_000, warmup=500, save_steps=(1000, 10_000))
        expect = "L2 of the belief below the last token's 0.017; hours on a GPU"
        return DecodingSetting(HiddenMarkov(), recipe, Probing(OF_TOKENS, AT, train=3000), main, expect)
    if size == "quick":
        network = SequenceTransformer(64, 2, 4, 64)
        recipe = TrainingRecipe(
            network, tokens, 16, steps=2500, learning_rate=3e-3, warmup=200, final_ratio=0.05, save_steps=(250, 1000)
        )
        expect = "over 0.8 of the gap in L2 of the belief; 5 minutes on two cores for 3 seeds"
        return DecodingSetting(LINGERING, recipe, Probing(OF_TOKENS, AT, train=1500), main, expect)
    network, process = SequenceTransformer(16, 1, 2, 16), HiddenMarkov(states=3, vocab=6, linger=0.8)
    recipe = TrainingRecipe(network, tokens, 32, 20, steps=400, learning_rate=1e-2, save_steps=(100,))
    few = Probing(OF_TOKENS, AT, train=300, validation=100, test=200)
    return DecodingSetting(process, recipe, few, main, "seconds; the path, not the figure")


def _linear_gaussian(size: str) -> DecodingSetting:
    main, reals = ("state_mean", "R2"), Gaussian()
    if size == "published":
        network = SequenceTransformer(norm="post", dropout=0.1, reads="reals")
        recipe = TrainingRecipe(network, reals, length=500, steps=40_000, warmup=500, save_steps=(1000,))
        expect = "R2 of the Kalman mean above 0.95; hours on a GPU"
        return DecodingSetting(SEEN, recipe, Probing(OF_REALS, AT, train=3000), main, expect)
    if size == "quick":
        network = SequenceTransformer(64, 2, 4, 64, reads="reals")
        recipe = TrainingRecipe(
            network, reals, 16, steps=5000, learning_rate=3e-3, warmup=100, final_ratio=0.05, save_steps=(500, 1500)
        )
        expect = "R2 of the Kalman mean about 0.93; 5 minutes for 3 seeds on one core"
        return DecodingSetting(SEEN, recipe, Probing(OF_REALS, AT, train=1500), main, expect)
    network, process = SequenceTransformer(16, 1, 2, 16, reads="reals"), LinearGaussian(2, 3, item_noise=2.0)
    recipe = TrainingRecipe(network, reals, 32, 20, steps=400, learning_rate=1e-2)
    few = Probing(("state_mean", "state"), AT, train=300, validation=100, test=200)
    return DecodingSetting(process, recipe, few, main, "seconds; the path, not the figure")


HIDDEN_CHAINS = {"hmm": _hmm, "linear-gaussian": _linear_gaussian}
"""By name, what makes a setting of a size."""
