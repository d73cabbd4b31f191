"""Hidden Markov models: which belief over the hidden state embeddings hold, before and after a token, and where.

Transformers and recurrent networks are trained on chains with emissions of two concentrations. Every target about a
token is read from the embedding just before it and from the one just after it, beside nulls and what can be known.
"""

from dataclasses import dataclass, replace

import jax
import numpy as np
from jaxtyping import Array, Float

from ...decoding import Decoded, Probing, Trained, TrainingRecipe, decode, train_models
from ...decoding.reading import losses, read_states
from ...decoding.scores import CEILING, LAST_ITEM, MODEL, NULLS, UNTRAINED, joined
from ...keep import kept_json
from ...models import Recurrent
from ...processes import HiddenMarkov
from ...runs.presets import find_setting
from ...tables import Table, interval, number
from .. import Bound, Evidence, Run, Size, Study
from ._shared import WORLDS, gain_evidence, part, score_evidence, share_evidence
from .hidden_state_scores import (
    BELIEF,
    EMBEDDINGS,
    OWN_PRIOR,
    SMOOTHER,
    STATISTIC,
    TRANSFER,
    TWICE,
    VITERBI,
    grid_scores,
    shifted_scores,
    state_targets,
    statistic,
)

NETWORKS = ("transformer", "recurrent")
METRICS = ("accuracy", "L2", "KL")
DRAWS = 2000
"""What is folded into a seed's key for the draws of this study."""
MAIN = f"{EMBEDDINGS[0]}: {BELIEF}"
"""The pair that prediction demands: the exact belief about the next state, before its token."""
VITERBI_BEFORE = f"{EMBEDDINGS[0]}: {VITERBI}"
"""The published alternative: a point estimate, of which only so much can be known before its token."""
MISMATCHED = (
    f"{EMBEDDINGS[0]}: {TWICE}",
    *(f"{EMBEDDINGS[1]}: {target}" for target in (BELIEF, VITERBI, SMOOTHER, TWICE)),
)
"""Pairs whose target prediction does not demand of their embedding, though what was read determines it: of others, as
of the state before its token, a network could not come nearer than the ceiling."""


@dataclass(frozen=True)
class HiddenStateSetting:
    """Chains, networks and probes.

    Attributes:
        process: its emissions are set by `emissions`.
        recipes: by network, how it is trained.
        probing: sizes of the three parts of the probes.
        emissions: Dirichlet concentrations of the emissions.
        share: of the gap that is expected to be closed.
    """

    process: HiddenMarkov
    recipes: dict[str, TrainingRecipe]
    probing: Probing
    emissions: tuple[float, ...] = (0.5, 1.0)
    share: float = 0.7

    @property
    def position(self) -> int:
        """n of the embedding from which the token n + 1 is withheld: the last position but one that is trained."""
        return self.recipes[NETWORKS[0]].length - 3


def setting_of(size: Size) -> HiddenStateSetting:
    """The catalogue's setting "hmm" for both kinds of emissions and both networks; one of each for "tiny"."""
    base = find_setting("hmm", size)
    parts = Probing((BELIEF,), train=base.probing.train, validation=base.probing.validation, test=base.probing.test)
    if size == "tiny":
        return HiddenStateSetting(base.process, {NETWORKS[0]: base.recipe}, parts, (0.5,), share=0.3)
    recurrent = replace(base.recipe, model=Recurrent(getattr(base.recipe.model, "width", 64)), save_steps=())
    return HiddenStateSetting(base.process, dict(zip(NETWORKS, (base.recipe, recurrent), strict=True)), parts)


SETTINGS: dict[Size, HiddenStateSetting] = {
    "tiny": setting_of("tiny"),
    "quick": setting_of("quick"),
    "published": setting_of("published"),
}


@dataclass(frozen=True)
class HiddenStateRun:
    """One network on one kind of emissions.

    Attributes:
        scores: of the grid of targets and embeddings, and of the shifted data.
        depths: the belief by layer and step, from the embedding that has not seen the next token.
    """

    scores: Decoded
    depths: Decoded


@dataclass(frozen=True)
class HiddenStates:
    """Networks by emission concentration and kind; a seed is a network with a world of its own."""

    setting: HiddenStateSetting
    runs: dict[tuple[float, str], HiddenStateRun]

    def of(self, emission: float, network: str = NETWORKS[0]) -> Decoded:
        """All scores of one network."""
        return self.runs[emission, network].scores

    def matched(self, emission: float, source: str = MODEL) -> Float[np.ndarray, " seed"]:
        """KL of the best mismatched pair over that of the exact belief before its token: above 1 where that wins."""
        scores = self.of(emission)
        mismatched = np.min([scores.values(name, "KL", source) for name in MISMATCHED], axis=0)
        return mismatched / scores.values(MAIN, "KL", source)


def run(setting: HiddenStateSetting, run: Run) -> HiddenStates:
    """Train transformers and recurrent networks on hidden Markov chains, and read the hidden state off them."""
    runs = {}
    for emission in setting.emissions:
        process = replace(setting.process, emission=emission)
        for network, recipe in setting.recipes.items():
            runs[emission, network] = _of_network(process, recipe, setting, part(run, f"{network} {emission:g}"))
    return HiddenStates(setting, runs)


def tables(result: HiddenStates) -> tuple[Table, ...]:
    """Every target from both embeddings; losses; and the shifted data, probes fitted anew beside ones carried over."""
    rows, lost, shifted = [], [], []
    sources = (*NULLS, STATISTIC, CEILING)
    for (emission, network), own in result.runs.items():
        place, scores = (f"{emission:g}", network), own.scores
        rows += [
            (*place, target, metric, *scores.texts(target, metric, sources, ".4f", ".2f"))
            for target in scores.targets
            for metric in METRICS
        ]
        means = (number(np.mean(scores.losses[name]), ".4f") for name in ("trained", "untrained", "floor"))
        lost.append((*place, *means, interval(scores.excess, ".4f")))
        for prior in ("own", "shifted"):
            target = f"shifted data: belief of the {prior} prior"
            for metric in METRICS:
                texts = (interval(scores.values(target, metric, of), ".4f") for of in (MODEL, TRANSFER, OWN_PRIOR))
                null, source = scores.null(target, metric)
                best = f"{number(null.mean(), '.4f')} ({source})"
                shifted.append((*place, f"the {prior} prior", metric, *texts, best))
    first, note = ("emission", "network"), training(result)
    header = (*first, "embedding: target", "metric", "model", *sources, "share closed")
    loss_header = (*first, "trained", "untrained", "exact", "excess, nats a token")
    shifted_header = (*first, "belief of", "metric", "probe fitted anew", TRANSFER, OWN_PRIOR, "best null")
    return (
        Table("what a linear probe reads, 95 % intervals over seeds", header, rows, note),
        Table("losses, nats a token", loss_header, lost, note, "losses"),
        Table("data of another prior", shifted_header, shifted, note, "shifted"),
    )


def evidence(result: HiddenStates) -> tuple[Evidence, ...]:
    """The belief before its token, its rivals, and the Viterbi state; for every concentration of the emissions."""
    return tuple(row for emission in result.setting.emissions for row in _evidence(result, emission))


ENDINGS = {0.5: "", 1.0: "-1"}
"""Of ids, by concentration of the emissions: the published one has the plain ones."""


def _evidence(result: HiddenStates, emission: float) -> tuple[Evidence, ...]:
    scores, end = result.of(emission), ENDINGS[emission]
    chains = "" if not end else f" (emissions of concentration {emission:g})"
    token = scores.values(MAIN, "L2", LAST_ITEM)
    expected = Bound("expectation", least=result.setting.share, source="expected at this size")
    after, before = result.matched(emission), result.matched(emission, UNTRAINED)
    known = scores.values(VITERBI_BEFORE, "accuracy", CEILING).mean()
    return (
        gain_evidence(f"hidden-markov-belief{end}", "HMM: L2 of the belief about the next state, read off the "
                     f"embedding before its token, over that of the last token alone{chains}",
                      scores.values(MAIN, "L2") / token, "accuracy 90.8 %, last token 88.5 %",
                      bound=Bound("paper", most=1.0, source="better than the last token", strict=True),
                      no_null="a ratio to the last token, which is the null", ceiling="0", varied=WORLDS),
        share_evidence(f"hidden-markov-gap{end}", "HMM: share of the gap between the best null and the exact belief "
                       f"closed, KL{chains}", scores, MAIN, "KL", expected, varied=WORLDS),
        share_evidence(f"hidden-markov-gap-l2{end}", "HMM: share of the gap between the best null and the exact belief "
                       f"closed, L2{chains}", scores, MAIN, "L2", expected, varied=WORLDS),
        score_evidence(f"hidden-markov-matched{end}", "HMM: KL of the best mismatched pair of embedding and target "
                       f"over the matched one's{chains}", after, before,
                       Bound("paper", least=1.0, source="matched pair best"), "matched pair best", ceiling="none",
                       varied=WORLDS),
        gain_evidence(f"hidden-markov-matched-trained{end}", f"HMM: that ratio beyond the untrained network's{chains}",
                      after - before, ceiling="none", varied=WORLDS),
        share_evidence(f"hidden-markov-viterbi{end}", "HMM: the Viterbi state before its token is read nearly as well "
                       f"as it can be known, {known:.3f} (share of the gap, accuracy){chains}", scores, VITERBI_BEFORE,
                       "accuracy", expected, "59.8 %", varied=WORLDS),
    )  # fmt: skip


def training(result: HiddenStates) -> str:
    """Sizes, and where the probes read."""
    setting, recipe, process = result.setting, result.setting.recipes[NETWORKS[0]], result.setting.process
    return (
        f"{process.states} states, {process.vocab} tokens, lingering {process.linger:g}, {recipe.steps} steps of "
        f"{recipe.batch} sequences of {recipe.length}, {recipe.model}; read after item {setting.position} and the next"
    )


def caption(result: HiddenStates) -> str:
    return f"{training(result)}. Bars and bands: smallest to largest over seeds (network, world, draws)."


KINDS = ("belief", "gap", "gap-l2", "matched", "matched-trained", "viterbi")
STUDY = Study(
    name="hidden_states",
    source="zhang2024embed",
    settings=SETTINGS,
    seeds={"tiny": 1, "quick": 3, "published": 10},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=caption,
    ids=tuple(f"hidden-markov-{kind}{ENDINGS[emission]}" for emission in ENDINGS for kind in KINDS),
    takes={"tiny": "30 s", "quick": "8 min", "published": "hours on a GPU"},
    smaller={
        "tiny": "3 states and 6 tokens, sequences of 20 for 500, width 16 for 128, one kind of network and emissions",
        "quick": "4 lingering states and 16 tokens, sequences of 128 for 500, width 64 for 128, 2500 steps for 40000",
    },
    needs=("float64",),
    ledger="tiny",
    beyond_tiny=tuple(f"hidden-markov-{kind}{ENDINGS[1.0]}" for kind in KINDS),
)


def _of_network(process: HiddenMarkov, recipe: TrainingRecipe, setting: HiddenStateSetting, run: Run) -> HiddenStateRun:
    keep = None if run.keep is None else run.keep / "training"
    trained, parts = train_models(process, recipe, range(run.seeds), keep=keep, progress=run.progress), []
    for i in range(run.seeds):
        identity = (process, recipe, setting.probing, i, OWN_PRIOR)
        record = kept_json(
            run.keep, "grid", identity, lambda i=i: _of_seed(process, recipe, trained, i, setting).record()
        )
        parts.append(Decoded.of_record(record))
        run.progress(f"seed {i}: grid probed")
    everywhere = replace(setting.probing, positions=(setting.position,), layers="all", times="all")
    return HiddenStateRun(joined(parts), decode(process, recipe, trained, everywhere, keep=run.keep))


def _of_seed(
    process: HiddenMarkov, recipe: TrainingRecipe, trained: Trained, i: int, setting: HiddenStateSetting
) -> Decoded:
    """The grid and the shifted data of one seed."""
    world, n, probing = trained.world(i), setting.position, setting.probing
    keys = jax.random.split(jax.random.fold_in(jax.random.key(trained.seeds[i]), DRAWS), 4)
    draw = process.sample(keys[0], world, probing.sequences, recipe.length)
    networks = {MODEL: trained.at(i), UNTRAINED: trained.at(i, 0)}
    belief = process.exact(world, draw.items, [BELIEF], [n, n + 1])[BELIEF]
    states = {embedding: {STATISTIC: statistic(belief[:, j])} for j, embedding in enumerate(EMBEDDINGS)}

    def read(source: str, items: Array) -> Float[np.ndarray, "sequence position width"]:
        """What the head reads, at both positions: what is compiled serves again."""
        asked = Probing((BELIEF,), (n, n + 1))
        return read_states(recipe.model, networks[source], items, asked)[1][0]

    for source in networks:
        both = read(source, draw.items)
        for j, embedding in enumerate(EMBEDDINGS):
            states[embedding][source] = both[:, j]
    targets = state_targets(process, world, draw.items, draw.latents["state"], n)
    scores = grid_scores(targets, states, np.asarray(draw.items), process.vocab, n, probing, keys[1])
    moved = process.shifted().sample(keys[2], world, probing.sequences, recipe.length).items
    shifted = {source: read(source, moved)[:, 0] for source in networks}
    own = (states[EMBEDDINGS[0]][MODEL], targets[BELIEF].truth)
    scores += shifted_scores(process, world, shifted, own, moved, n, probing, keys[3])
    named = {"trained": networks[MODEL], "untrained": networks[UNTRAINED]}
    lost = losses(process, world, recipe.model, recipe.head, named, draw.items[: probing.test])
    return Decoded(tuple(scores), {name: (value,) for name, value in lost.items()}, trained.seeds[i : i + 1])
