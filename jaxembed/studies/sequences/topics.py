"""Documents of topics: what a network that predicts words knows of their mixture, forwards and masked.

The baseline that averages word embeddings and is trained end to end is here softmax regression on word frequencies:
with as many dimensions as words it is the same model, and fitted to its optimum. No side is asked to win of masked and
autoregressive networks, whose rows are shown.
"""

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...decoding import CEILING, MODEL, NULLS, SHARE, UNTRAINED, Decoded, DecodingSetting, Probing, Trained, predicted
from ...probes import gap_closed, scores
from ...processes import LatentDirichlet
from ...runs.presets import find_setting
from ...tables import Table, interval
from .. import Bound, Evidence, Run, Size, Study
from ._shared import part, result_of, score_evidence, share_evidence, training_note

TARGET, DIGITS = "mixture", {"accuracy": 3, "L2": 4, "max-abs": 3}
METRICS = tuple(DIGITS)
WORDS = 3000
"""What is folded into a seed's key for the documents of the baseline that reads words."""
PUBLISHED = {0.5: (0.828, 0.836), 0.8: (0.755, 0.515), 1.0: (0.705, 0.466)}
"""By alpha: published accuracy of the autoregressive and of the masked network."""
VARIED = "seeds (network, topics, documents)"


@dataclass(frozen=True)
class TopicsSetting:
    """Networks on documents.

    Attributes:
        decoding: of the autoregressive networks.
        alphas: Dirichlet parameters of the mixtures.
        masked_alphas: those with a masked network too.
        masks: masked words of a document; the masked network takes so many steps more that both predict equally many.
        share: of the gap between the best null and the ceiling that the autoregressive network is asked to close.
        published: whether the published accuracies are those of this process.
    """

    decoding: DecodingSetting
    alphas: tuple[float, ...]
    masked_alphas: tuple[float, ...]
    masks: int
    share: float = SHARE
    published: bool = False


SETTINGS: dict[Size, TopicsSetting] = {
    "tiny": TopicsSetting(find_setting("topics", "tiny"), (0.5,), (0.5,), 8, 0.2),
    "quick": TopicsSetting(find_setting("topics", "quick"), tuple(PUBLISHED), (1.0,), 64),
    "published": TopicsSetting(
        find_setting("topics", "published"), tuple(PUBLISHED), tuple(PUBLISHED), 15, SHARE, True
    ),
}


@dataclass(frozen=True)
class TopicsResult:
    """What was read of mixtures.

    Attributes:
        setting: what ran.
        forward: by alpha, the scores of the autoregressive networks, read after the last word.
        masked: by alpha, the scores of the masked networks, averaged over all words.
        words: by alpha and metric, `[seed]`: softmax regression on a document's word frequencies, trained end to end.
    """

    setting: TopicsSetting
    forward: dict[float, Decoded]
    masked: dict[float, Decoded]
    words: dict[float, dict[str, Float[np.ndarray, " seed"]]]

    def values(self, alpha: float, source: str, metric: str) -> Float[np.ndarray, " seed"]:
        """Scores by what is read: "autoregressive", "masked", "word frequencies", a null, or "ceiling"."""
        if source == "word frequencies":
            return self.words[alpha][metric]
        named = {"autoregressive": self.forward, "masked": self.masked, "masked, untrained": self.masked}
        decoded = named.get(source, self.forward)[alpha]
        inner = {"autoregressive": MODEL, "masked": MODEL, "masked, untrained": UNTRAINED}.get(source, source)
        return decoded.values(TARGET, metric, inner)

    def share(self, alpha: float, source: str, metric: str = "L2") -> Float[np.ndarray, " seed"]:
        """The way from the best null to the ceiling that is closed; nulls and ceiling of the same kind of network."""
        decoded = (self.masked if source.startswith("masked") else self.forward)[alpha]
        null, ceiling = decoded.null(TARGET, metric)[0], decoded.values(TARGET, metric, CEILING)
        return gap_closed(self.values(alpha, source, metric), null, ceiling)

    def sources(self, alpha: float) -> tuple[str, ...]:
        """What was read at an alpha."""
        masked = ("masked", "masked, untrained") if alpha in self.masked else ()
        return ("autoregressive", *masked, "word frequencies", *NULLS, CEILING)


def run(setting: TopicsSetting, run: Run) -> TopicsResult:
    """Train on documents of every alpha, forwards and masked, and read the mixture beside the exact posterior mean.

    A seed is a network with topics and documents of its own.
    """
    forward, masked, words = {}, {}, {}
    for alpha in setting.alphas:
        one = with_alpha(setting.decoding, alpha)
        result, trained = result_of(one, part(run, f"alpha {alpha:g}"))
        forward[alpha] = result.decoded
        words[alpha] = word_frequencies(one, trained)
        if alpha in setting.masked_alphas:
            own = part(run, f"alpha {alpha:g} masked")
            masked[alpha] = result_of(masked_setting(one, setting.masks), own)[0].decoded
    return TopicsResult(setting, forward, masked, words)


def tables(result: TopicsResult) -> tuple[Table, ...]:
    """Scores by alpha and what is read, with their interval over seeds."""
    rows = [_row(result, alpha, source) for alpha in result.setting.alphas for source in result.sources(alpha)]
    header = ("alpha", "what is read", *METRICS, "share of the gap (L2)", "published accuracy")
    title = "the mixture of a document, 95 % intervals over seeds (network, topics, documents)"
    return (Table(title, header, rows, training_note(result.setting.decoding)),)


def _row(result: TopicsResult, alpha: float, source: str) -> tuple[str, ...]:
    texts = [interval(result.values(alpha, source, metric), f".{DIGITS[metric]}f") for metric in METRICS]
    share = interval(result.share(alpha, source), ".2f")
    accuracies = dict(zip(("autoregressive", "masked"), PUBLISHED.get(alpha, ()), strict=False))
    shown = f"{accuracies[source]:.3f}" if result.setting.published and source in accuracies else ""
    return (f"{alpha:g}", source, *texts, share, shown)


ENDINGS = {alpha: "" if alpha == min(PUBLISHED) else f"-{alpha:g}" for alpha in PUBLISHED}
"""Of ids: the smallest alpha has the plain ones."""


def evidence(result: TopicsResult) -> tuple[Evidence, ...]:
    """The share of the gap at every alpha, and the published accuracies where the process is the published one."""
    rows, bound = [], Bound("expectation", least=result.setting.share, source="expected at this size")
    for alpha, decoded in result.forward.items():
        claim = "word prediction embeds a document's mixture (share of the gap in L2, null to exact)"
        claim += f", alpha {alpha:g}" if ENDINGS[alpha] else ""
        published = (
            "82.8 % of top topics, of 87.2 %" if not ENDINGS[alpha] else f"{PUBLISHED[alpha][0]:.1%} of top topics"
        )
        rows.append(share_evidence(f"topics-mixture{ENDINGS[alpha]}", claim, decoded, TARGET, "L2", bound, published,
                                   varied=VARIED))  # fmt: skip
    for alpha, decoded in result.forward.items() if result.setting.published else ():
        accuracy = PUBLISHED[alpha][0]
        least = Bound("paper", least=accuracy - 0.02, source=f"{accuracy:.1%}, less 2 %")
        values, null = decoded.values(TARGET, "accuracy"), decoded.null(TARGET, "accuracy")[0]
        ceiling = f"{decoded.values(TARGET, 'accuracy', CEILING).mean():.3f}"
        rows.append(score_evidence(f"topics-accuracy-{alpha:g}", f"alpha {alpha:g}: accuracy of the top topic", values,
                                   null, least, f"{accuracy:.1%}", ceiling=ceiling, varied=VARIED))  # fmt: skip
    return tuple(rows)


SMALLER: dict[Size, str] = {
    "tiny": "3 topics and 32 words for 5 and 1000, documents of 16 for 101, width 32 for 128",
    "quick": "200 words for 1000, sparser topics, width 64 for 128, 600 steps for 20000",
}
IDS = (
    *(f"topics-mixture{ENDINGS[alpha]}" for alpha in PUBLISHED),
    *(f"topics-accuracy-{alpha:g}" for alpha in PUBLISHED),
)
STUDY = Study(
    name="topics",
    source="zhang2023definetti",
    settings=SETTINGS,
    seeds={"tiny": 2, "quick": 3, "published": 5},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=lambda result: f"{training_note(result.setting.decoding)}; bars: mean over seeds, points: seeds.",
    ids=IDS,
    takes={"tiny": "20 s", "quick": "4 min", "published": "hours"},
    smaller=SMALLER,
    beyond_tiny=IDS[1:],
)


def with_alpha(setting: DecodingSetting, alpha: float) -> DecodingSetting:
    """The setting at another alpha."""
    return replace(setting, process=replace(setting.process, alpha=alpha))


def masked_setting(setting: DecodingSetting, masks: int) -> DecodingSetting:
    """A network of the same size that fills in masked words, as many in all as the other predicts; read on average.

    Words are masked at random in every batch, by an id that is no word. Without a mask no state of it answers for the
    whole document, so that the average over words is read, as in the published comparison.
    """
    recipe, network = setting.recipe, setting.recipe.model
    steps = round(recipe.steps * recipe.predicted / (recipe.batch * masks))
    masked = replace(recipe, model=_seeing_all(network), masked=masks, steps=steps)
    return replace(setting, recipe=masked, probing=replace(setting.probing, pool="average"))


def _seeing_all(network: Any) -> Any:
    return replace(network, causal=False)


def word_frequencies(setting: DecodingSetting, trained: Trained) -> dict[str, Float[np.ndarray, " seed"]]:
    """Scores of softmax regression from word frequencies to the mixture, on as many documents as the probe has."""
    process, probing, rows = setting.process, setting.probing, []
    for i, seed in enumerate(trained.seeds):
        key = jax.random.fold_in(jax.random.key(seed), WORDS)
        answers = word_regression(process, probing, trained.world(i), key, setting.recipe.length)
        rows.append(scores("distribution", *answers))
    return {metric: np.array([row[metric] for row in rows]) for metric in METRICS}


def word_regression(
    process: LatentDirichlet, probing: Probing, world: dict, key: jax.Array, length: int
) -> tuple[np.ndarray, np.ndarray]:
    """What the regression says about the mixtures of test documents, and those mixtures."""
    draw = jax.jit(process.sample, static_argnums=(2, 3))(key, world, probing.sequences, length)
    seen = draw.items[:, : probing.places(length)[-1] + 1]
    counts = jnp.sum(jax.nn.one_hot(seen, process.vocab, dtype=jnp.float32), axis=1)
    truth = np.asarray(draw.latents[TARGET])
    return read_mixture(probing, counts, truth, counts[probing.fitted :]), truth[probing.fitted :]


def read_mixture(
    probing: Probing, fitted: Any, truth: Float[np.ndarray, "document topic"], read: Any
) -> Float[np.ndarray, "document topic"]:
    """A linear probe of the documents of training and validation, `fitted` and `truth`, on the documents `read`."""
    (x, x_val, _), (y, y_val, _) = (probing.parts(jnp.asarray(rows, jnp.float32)) for rows in (fitted, truth))
    parts = (x, x_val, jnp.asarray(read, jnp.float32))
    return predicted("distribution", "linear", jax.random.key(0), parts, (y, y_val))
