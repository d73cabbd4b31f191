"""The four composite tasks with two models: which signature acts, and what each model can learn.

Addition acts through the label signature (order one), label-neutral addition through the context signature (order
three), modular addition through the joint signature alone, which a linear model cannot see; memory through none. Every
network is trained by full-batch Adam in float32, beside the same training on shuffled labels.

Source: yao2025probability.
"""

from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from ...base import Dataset, Model
from ...ensemble import ensemble
from ...losses.population import PopulationLoss, accuracy, population_loss
from ...models import Feedforward, Linear
from ...observables import centred, cosine, mantel, order, r_cos, scale_free_error
from ...statistics import count, signatures
from ...tables import Table, extremes, spread
from ...tasks import Addition, LabelNeutral, Memory, Modular, shuffled
from ...tasks.composite import Composite
from ...train import single_precision, train
from ..evidence import Bound, Evidence, Size
from ..rows import control, described, exact
from ..study import Run, Study

TASKS = {"addition": Addition, "label-neutral": LabelNeutral, "modular": Modular, "memory": Memory}
MODELS = ("linear", "feedforward")
ACTING = {"addition": "label", "label-neutral": "context"}
"""The signature that drives the anchors' embeddings apart: of first order, or of third where the first says nothing."""
UNINFORMATIVE = {
    "addition": {"context"},
    "label-neutral": {"label"},
    "modular": {"label", "context"},
    "memory": {"context"},
}
"""Signatures that are the same for all anchors, so that agreement with them is undefined."""


@dataclass(frozen=True)
class CompositeSetting:
    """Sizes and training of the table: full-batch Adam in float32."""

    keys: int = 40
    anchors: int = 10
    width: int = 64
    hidden: int = 128
    learning_rate: float = 1e-3
    steps: int = 2000
    permutations: int = 999

    def model(self, name: str) -> Model:
        """Embedding and unembedding start at scale 1e-3, the hidden matrix at width^(-1/2)."""
        return Linear(self.width) if name == "linear" else Feedforward(self.width, hidden=self.hidden)


SETTINGS: dict[Size, CompositeSetting] = {
    "tiny": CompositeSetting(8, 5, width=16, hidden=32, learning_rate=1e-2, steps=150, permutations=99),
    "published": CompositeSetting(),
}


@dataclass(frozen=True)
class CompositeEntry:
    """One task with one model.

    Attributes:
        task: the task's name.
        model: "linear" or "feedforward".
        chance: accuracy of the best constant answer.
        ceiling: accuracy of the best function of the bag of tokens, which is all that both models see.
        values: by name, `[seed]`. "accuracy": share of examples whose most likely label is the target. "order":
            Spearman correlation between the anchors' cosines and their closeness. "label r_cos": correlation of their
            cosines with those of the centred label signatures, NaN where these do not differ; "label p_value": its
            Mantel p-value; "label error": relative error of their Gram matrix after the best overall scale, which sees
            the norms that cosines hide. The same three of the "context" signatures.
        null: the same after training on shuffled labels.
        cosines: the anchors' cosine matrix, mean over seeds.
    """

    task: str
    model: str
    chance: float
    ceiling: float
    values: dict[str, Float[np.ndarray, " seed"]]
    null: dict[str, Float[np.ndarray, " seed"]]
    cosines: Float[np.ndarray, "token token"]

    def defined(self, name: str) -> bool:
        return not np.isnan(self.values[name]).any()

    def text(self, name: str) -> str:
        """ "mean ± sd (null mean ± sd)", or the word undefined."""
        null = f" (null {spread(self.null[name])})" if self.defined(name) else ""
        return spread(self.values[name]) + null


@dataclass(frozen=True)
class CompositeTable:
    """Tasks by models: `entries` in the order of `TASKS` and `MODELS`."""

    setting: CompositeSetting
    seeds: int
    entries: tuple[CompositeEntry, ...]

    def entry(self, task: str, model: str) -> CompositeEntry:
        return next(entry for entry in self.entries if (entry.task, entry.model) == (task, model))


def run(setting: CompositeSetting, run: Run) -> CompositeTable:
    """Train every task with every model; a seed is an initialisation, and a relabelling of its control."""
    entries = []
    for task, model in product(TASKS, MODELS):
        entries.append(_entry(task, model, setting, run.seeds))
        run.progress(f"{task}, {model}: accuracy {entries[-1].text('accuracy')}, order {entries[-1].text('order')}")
    return CompositeTable(setting, run.seeds, tuple(entries))


def tables(result: CompositeTable) -> tuple[Table, ...]:
    """Every quantity as mean ± sd over seeds."""
    header = ("task", "model", "accuracy", "chance / ceiling", "order", "R_cos label signature", "p",
              "R_cos context signature", "p", "Gram error label signature", "Gram error context signature")  # fmt: skip
    title = f"mean ± sd over {result.seeds} seeds (null: the same training on shuffled labels); p: Mantel, over seeds"
    return (Table(title, header, [_row(entry) for entry in result.entries]),)


def _row(entry: CompositeEntry) -> tuple[str, ...]:
    agreement = [
        text
        for kind in ("label", "context")
        for text in (entry.text(f"{kind} r_cos"), extremes(entry.values[f"{kind} p_value"], ".2g", ".."))
    ]
    bounds = f"{entry.chance:.3f} / {entry.ceiling:.3f}"
    errors = (entry.text("label error"), entry.text("context error"))
    return (entry.task, entry.model, entry.text("accuracy"), bounds, entry.text("order"), *agreement, *errors)


HEAT = "heat maps, no number"
FAR = (-0.3, 0.3)
CLAIMS = (
    *((f"{task.removeprefix('label-')}-order-{model}", f"{task}: anchors line up in a {model} model (order)", HEAT,
       task, model, "order", 0.9, None) for task in ACTING for model in MODELS),
    *((f"{task.removeprefix('label-')}-{kind}-{model}", f"{task}: embeddings follow {kind} signatures (R_cos, {model})",
       HEAT, task, model, f"{kind} r_cos", 0.85, None) for task, kind in ACTING.items() for model in MODELS),
    ("modular-linear-fails", "modular: a linear model cannot learn (accuracy; null: feedforward)", "fails, no number",
     "modular", "linear", "accuracy", None, 0.15),
    ("modular-feedforward-learns", "modular: a feedforward model learns from joint signatures (accuracy)",
     "learns, no number", "modular", "feedforward", "accuracy", 0.99, None),
    ("modular-feedforward-order", "modular: the feedforward model's anchors line up (order)", HEAT,
     "modular", "feedforward", "order", 0.9, None),
    ("memory-no-order", "memory: anchors without an order stay without one (order, feedforward; null: addition)", HEAT,
     "memory", "feedforward", "order", *FAR),
    ("memory-no-order-linear", "memory: anchors without an order stay without one (order, linear; null: addition)",
     HEAT, "memory", "linear", "order", *FAR),
    ("modular-linear-no-order", "modular: the linear model's anchors stay without an order (order; null: addition)",
     HEAT, "modular", "linear", "order", *FAR),
)  # fmt: skip
"""Id, claim, what is published, task, model, quantity, and bounds, which are those of the committed table."""


def evidence(result: CompositeTable) -> tuple[Evidence, ...]:
    """The published heat maps in numbers; the null is training on shuffled labels unless the claim names another."""
    rows = []
    for name, claim, published, task, model, quantity, least, most in CLAIMS:
        entry, bound = result.entry(task, model), Bound("expectation", least, most, "expected at 71 tokens, width 64")
        if most is None:
            null = entry.null
        else:  # shuffled labels fail as well: the null is a network that succeeds
            null = result.entry("modular" if quantity == "accuracy" else "addition", MODELS[1]).values
        ceiling = f"{entry.ceiling:.2f}, chance {entry.chance:.3f}" if quantity == "accuracy" else "1"
        rows.append(Evidence(name, claim, entry.values[quantity], bound, published, null[quantity], ceiling=ceiling))
    return (*rows, *_machinery(result))


def _machinery(result: CompositeTable) -> list[Evidence]:
    """The control that must fail, and that what is undefined says so."""
    addition = [result.entry("addition", model) for model in MODELS]
    ahead = np.min([entry.values["order"] - entry.null["order"] for entry in addition], axis=0)
    names = ("accuracy", "order", "label r_cos", "context r_cos")
    wrong = [
        {kind for kind in ("label", "context") if not entry.defined(f"{kind} r_cos")} != UNINFORMATIVE[entry.task]
        for entry in result.entries
    ]
    empty = [not np.isfinite(e.null[name]).all() for e in result.entries for name in names if e.defined(name)]
    count: dict[str, Any] = {"published": "", "no_null": "a count"}
    return [
        control("composite-shuffled", "addition: order minus that of shuffled labels, smaller of both models", ahead),
        exact("composite-undefined", "entries with R_cos undefined otherwise than where signatures are equal (share)",
              np.mean(wrong), 0.0, **count),
        exact("composite-complete", "defined numbers with an undefined null (share)", np.mean(empty), 0.0, **count),
    ]  # fmt: skip


STUDY = Study(
    name="composite_table",
    source="yao2025probability",
    settings=SETTINGS,
    seeds={"tiny": 2, "published": 5},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=described(
        "{anchors} anchors, {keys} keys, width {width}, full-batch Adam {learning_rate:g}, {steps} steps, float32; "
        "mean ± sd over init seeds, null: shuffled labels."
    ),
    ids=(*(claim[0] for claim in CLAIMS), "composite-shuffled", "composite-undefined", "composite-complete"),
    takes={"tiny": "30 s", "published": "5 min"},
    smaller={"tiny": "24 tokens for 71, width 16 for 64, 150 steps for 2000"},
    ledger="published",
)


def _entry(task_name: str, model_name: str, setting: CompositeSetting, seeds: int) -> CompositeEntry:
    task = TASKS[task_name](keys=setting.keys, anchors=setting.anchors)
    model, data = setting.model(model_name), task.dataset()
    # The control is relabelled anew for every seed, so its spread includes the relabelling.
    populations = [data] * seeds + [shuffled(data, seed) for seed in range(seeds)]
    params = _trained(model, populations, setting)
    scores = _accuracies(model, populations, params)
    found = _observed(params["embed"][:, task.anchor_tokens], _signature_rows(task, data), setting.permutations)
    seen = {name: np.asarray(x, np.float64) for name, x in {**found, "accuracy": scores}.items()}
    cosines = seen.pop("cosines")[:seeds].mean(axis=0)
    values, null = ({name: x[half] for name, x in seen.items()} for half in (slice(seeds), slice(seeds, None)))
    return CompositeEntry(task_name, model_name, *accuracy_bounds(data), values, null, cosines)


def _trained(model: Model, populations: list[Dataset], setting: CompositeSetting) -> dict[str, Array]:
    """Final parameters for every population; the two halves of the populations start from the same seeds."""
    losses = [single_precision(population_loss(model, data)) for data in populations]
    keys = jax.random.split(jax.random.key(0), len(populations) // 2)
    members = (jnp.concatenate([keys, keys]), jnp.stack([loss.joint for loss in losses]))
    vocab, length = populations[0].vocab, populations[0].length

    def run(member: tuple[Array, Array], loss: PopulationLoss) -> dict[str, Array]:
        key, joint = member
        params, optimizer = single_precision(model.init(key, vocab, length)), optax.adam(setting.learning_rate)
        saved = train(replace(loss, joint=joint), params, optimizer, save_steps=[0, setting.steps])
        return jax.tree.map(lambda y: y[-1], saved.ys)

    # Relabelling leaves the sequences alone, so all populations share one table of them.
    return ensemble(run, members, losses[0])


def _accuracies(model: Model, populations: list[Dataset], params: dict[str, Array]) -> Float[Array, " seed"]:
    score = jax.jit(lambda params, data: accuracy(model, data, params))
    members = [jax.tree.map(lambda x, i=i: x[i], params) for i in range(len(populations))]
    return jnp.stack([score(*pair) for pair in zip(members, populations, strict=True)])


@partial(jax.jit, static_argnames="permutations")
def _observed(
    anchors: Float[Array, "seed token width"], rows: dict[str, Array], permutations: int
) -> dict[str, Float[Array, "seed ..."]]:
    """Everything that is read off the anchors' embeddings, by name."""

    def observed(anchors: Array, key: Array) -> dict[str, Any]:
        found = {"order": order(anchors), "cosines": cosine(anchors)}
        for kind, target in rows.items():
            found[f"{kind} r_cos"] = r_cos(anchors, target)
            found[f"{kind} p_value"] = mantel(anchors, target, key=key, permutations=permutations)
            found[f"{kind} error"] = scale_free_error(anchors @ anchors.T, target @ target.T)
        return found

    anchors = anchors.astype(float)
    return jax.vmap(observed)(anchors, jax.random.split(jax.random.key(1), anchors.shape[0]))


def _signature_rows(task: Composite, data: Dataset) -> dict[str, Array]:
    """The anchors' centred label signatures and their context signatures."""
    sig = signatures(count(data))
    label = centred(sig.label[task.anchor_tokens], 1 / data.vocab)
    return {"label": label, "context": sig.context[task.anchor_tokens]}


def accuracy_bounds(data: Dataset) -> tuple[float, float]:
    """Accuracy of the best constant answer, and of the best function of the bag of tokens.

    >>> from jaxembed.tasks import Addition
    >>> [round(x, 3) for x in accuracy_bounds(Addition(keys=4, anchors=2).dataset())]
    [0.25, 1.0]
    """
    _, bag = np.unique(np.sort(data.tokens, axis=1), axis=0, return_inverse=True)
    joint = np.zeros((int(bag.max()) + 1, data.vocab))
    np.add.at(joint, (bag.ravel(), data.targets), data.weights)
    return float(joint.sum(axis=0).max()), float(joint.max(axis=1).sum())
