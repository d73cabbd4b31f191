"""Documents of topics: what a network that predicts words knows of their mixture, forwards and masked."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...decoding import Decoded, Probing, Setting, Trained, carried_out
from ...decoding.probing import predicted
from ...decoding.result import SHARE
from ...decoding.scores import CEILING, MODEL, NULLS
from ...probes import gap_closed, scores
from ...processes import LatentDirichlet
from ...runs.presets.catalogue import find_setting
from ..check import Check
from ..measured import mean_and_interval, silent

TARGET, DIGITS = "mixture", {"accuracy": 3, "L2": 4, "max-abs": 3}
METRICS = tuple(DIGITS)
WORDS = 3000
"""What is folded into a seed's key for the documents of the baseline that reads words."""
PUBLISHED = {0.5: (0.828, 0.836), 0.8: (0.755, 0.515), 1.0: (0.705, 0.466)}
"""By alpha: published accuracy of the autoregressive and of the masked network."""
HEADER = ("alpha", "what is read", *METRICS, "share of the gap (L2)", "published accuracy")

TopicSize = Literal["tiny", "quick", "full"]


@dataclass(frozen=True)
class Plan:
    """What a size runs.

    Attributes:
        alphas: Dirichlet parameters of the mixtures.
        masked_alphas: those with a masked network too.
        masks: masked words of a document; the masked network takes so many steps more that both predict equally many.
        share: of the gap between the best null and the ceiling that the autoregressive network is asked to close.
    """

    alphas: tuple[float, ...]
    masked_alphas: tuple[float, ...]
    masks: int
    share: float


PLANS: dict[str, Plan] = {
    "tiny": Plan((0.5,), (0.5,), 8, 0.2),
    "quick": Plan((0.5, 0.8, 1.0), (1.0,), 64, SHARE),
    "full": Plan((0.5, 0.8, 1.0), (0.5, 0.8, 1.0), 15, SHARE),
}


@dataclass(frozen=True)
class TopicsStudy:
    """What the study found.

    Attributes:
        size: of the study.
        plan: what it ran.
        setting: of the autoregressive networks, at the first alpha.
        forward: by alpha, the scores of the autoregressive networks, read after the last word.
        masked: by alpha, the scores of the masked networks, averaged over all words.
        words: by alpha and metric, `[seed]`: softmax regression on a document's word frequencies, trained end to end.
    """

    size: TopicSize
    plan: Plan
    setting: Setting
    forward: dict[float, Decoded]
    masked: dict[float, Decoded]
    words: dict[float, dict[str, Float[np.ndarray, " seed"]]]

    def values(self, alpha: float, source: str, metric: str) -> Float[np.ndarray, " seed"]:
        """Scores by what is read: "autoregressive", "masked", "word frequencies", a null, or "ceiling"."""
        if source == "word frequencies":
            return self.words[alpha][metric]
        named = {"autoregressive": self.forward, "masked": self.masked, "masked, untrained": self.masked}
        decoded = named.get(source, self.forward)[alpha]
        inner = {"autoregressive": MODEL, "masked": MODEL, "masked, untrained": "untrained"}.get(source, source)
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

    def rows(self) -> list[tuple[str, ...]]:
        """Scores by alpha and what is read, with their interval over seeds, under `HEADER`."""
        return [self._row(alpha, source) for alpha in self.plan.alphas for source in self.sources(alpha)]

    def checks(self) -> list[Check]:
        """The figures that are asked; no side is asked to win of masked and autoregressive, whose rows are shown."""
        checks = [self._share_check(alpha) for alpha in self.plan.alphas]
        if self.size == "full":
            checks += [self._published_check(alpha) for alpha in self.plan.alphas]
        return checks

    def _row(self, alpha: float, source: str) -> tuple[str, ...]:
        cells = [mean_and_interval(self.values(alpha, source, metric), DIGITS[metric]) for metric in METRICS]
        share = mean_and_interval(self.share(alpha, source))
        published = dict(zip(("autoregressive", "masked"), PUBLISHED.get(alpha, ()), strict=False))
        shown = f"{published[source]:.3f}" if self.size == "full" and source in published else ""
        return (f"{alpha:g}", source, *cells, share, shown)

    def _share_check(self, alpha: float) -> Check:
        share, asked = self.share(alpha, "autoregressive"), self.plan.share
        decoded = self.forward[alpha]
        found, ceiling = self.values(alpha, "autoregressive", "accuracy"), self.values(alpha, CEILING, "accuracy")
        got = (
            f"{mean_and_interval(share)}; accuracy {found.mean():.3f}, ceiling {ceiling.mean():.3f}, best null "
            f"{decoded.null(TARGET, 'accuracy')[0].mean():.3f} ({decoded.null(TARGET, 'accuracy')[1]})"
        )
        name = f"alpha {alpha:g}, autoregressive: share of the gap in L2 between the best null and the ceiling"
        return Check(name, f">= {asked:.0%}", got, bool(share.mean() >= asked))

    def _published_check(self, alpha: float) -> Check:
        found, published = self.values(alpha, "autoregressive", "accuracy"), PUBLISHED[alpha][0]
        got = f"{mean_and_interval(found, 3)}, published {published:.3f}"
        return Check(
            f"alpha {alpha:g}: accuracy", f">= {published - 0.02:.3f}", got, bool(found.mean() >= published - 0.02)
        )


def topics(
    size: TopicSize, seeds: int = 3, keep: Path | None = None, progress: Callable[[str], None] = silent
) -> TopicsStudy:
    """Train on documents of every alpha, forwards and masked, and read the mixture beside the exact posterior mean.

    The baseline that averages word embeddings and is trained end to end is here softmax regression on word
    frequencies: with as many dimensions as words it is the same model, and fitted to its optimum.

    Args:
        size: "tiny", "quick" (200 words, sparse topics) or "full" (the published sizes).
        seeds: networks, each with topics and documents of its own.
        keep: a folder for networks and scores, so that a killed run goes on where it was.
        progress: takes lines on how far it is.

    Source: zhang2024embed, zhang2023definetti.
    """
    plan, base = PLANS[size], find_setting("topics", size)
    forward, masked, words = {}, {}, {}
    for alpha in plan.alphas:
        setting = with_alpha(base, alpha)
        forward[alpha], trained = _found(setting, f"alpha {alpha:g}", size, seeds, keep, progress)
        words[alpha] = word_frequencies(setting, trained)
        if alpha in plan.masked_alphas:
            other = masked_setting(setting, plan.masks)
            masked[alpha], _ = _found(other, f"alpha {alpha:g} masked", size, seeds, keep, progress)
    return TopicsStudy(size, plan, with_alpha(base, plan.alphas[0]), forward, masked, words)


def with_alpha(setting: Setting, alpha: float) -> Setting:
    """The setting at another alpha."""
    return replace(setting, process=replace(setting.process, alpha=alpha))


def masked_setting(setting: Setting, masks: int) -> Setting:
    """A network of the same size that fills in masked words, as many in all as the other predicts; read on average.

    Words are masked at random in every batch, by an id that is no word. Without a mask no state of it answers for the
    whole document, so that the average over words is read, as in the published comparison.
    """
    recipe = setting.recipe
    steps = round(recipe.steps * recipe.predicted / (recipe.batch * masks))
    network: Any = recipe.model
    other = replace(recipe, model=replace(network, causal=False), masked=masks, steps=steps)
    return replace(setting, recipe=other, probing=replace(setting.probing, pool="average"))


def word_frequencies(setting: Setting, trained: Trained) -> dict[str, Float[np.ndarray, " seed"]]:
    """Scores of softmax regression from word frequencies to the mixture, on as many documents as the probe has."""
    process, probing = setting.process, setting.probing
    found: dict[str, list[float]] = {metric: [] for metric in METRICS}
    for i, seed in enumerate(trained.seeds):
        key = jax.random.fold_in(jax.random.key(seed), WORDS)
        own = scores("distribution", *_regression(process, probing, trained.world(i), key, setting.recipe.length))
        for metric in METRICS:
            found[metric].append(own[metric])
    return {metric: np.array(values) for metric, values in found.items()}


def _regression(
    process: LatentDirichlet, probing: Probing, world: dict, key: jax.Array, length: int
) -> tuple[np.ndarray, np.ndarray]:
    """What the regression says about the mixtures of test documents, and those mixtures."""
    parts = (probing.train, probing.validation, probing.test)
    draw = jax.jit(process.sample, static_argnums=(2, 3))(key, world, sum(parts), length)
    seen = draw.items[:, : probing.places(length)[-1] + 1]
    counts = jnp.sum(jax.nn.one_hot(seen, process.vocab, dtype=jnp.float32), axis=1)
    truth, fitted = np.asarray(draw.latents[TARGET]), probing.train + probing.validation
    return read_mixture(probing, counts, truth, counts[fitted:]), truth[fitted:]


def read_mixture(
    probing: Probing, fitted: Any, truth: Float[np.ndarray, "document topic"], read: Any
) -> Float[np.ndarray, "document topic"]:
    """A linear probe of the documents of training and validation, `fitted` and `truth`, on the documents `read`."""
    first, last = probing.train, probing.train + probing.validation
    x, y = jnp.asarray(fitted, jnp.float32), jnp.asarray(truth, jnp.float32)
    parts, targets = (x[:first], x[first:last], jnp.asarray(read, jnp.float32)), (y[:first], y[first:last])
    return predicted("distribution", "linear", jax.random.key(0), parts, targets)


def ceiling(
    process: LatentDirichlet, seeds: int = 3, documents: int = 300, length: int = 100
) -> dict[str, Float[np.ndarray, " seed"]]:
    """What the posterior mean scores on whole documents, its topics known, and "majority", the accuracy of one guess.

    >>> found = ceiling(LatentDirichlet(topics=2, vocab=8), seeds=2, documents=20, length=10)
    >>> sorted(found), found["L2"].shape
    (['KL', 'L2', 'accuracy', 'majority', 'max-abs'], (2,))
    """
    found = []
    for seed in range(seeds):
        keys = jax.random.split(jax.random.key(seed))
        world = process.world(keys[0])
        draw = jax.jit(process.sample, static_argnums=(2, 3))(keys[1], world, documents, length)
        said, truth = process.exact(world, draw.items, positions=(length - 1,)), np.asarray(draw.latents[TARGET])
        own = scores("distribution", np.asarray(said["posterior_mean"])[:, 0], truth)
        found.append(own | {"majority": np.bincount(truth.argmax(axis=1)).max() / documents})
    return {name: np.array([one[name] for one in found]) for name in found[0]}


def _found(
    setting: Setting, name: str, size: str, seeds: int, keep: Path | None, progress: Callable[[str], None]
) -> tuple[Decoded, Trained]:
    folder = None if keep is None else keep / name.replace(" ", "_")
    result, trained = carried_out(setting, name, size, seeds, folder, lambda line: progress(f"{name}: {line}"))
    return result.decoded, trained
