"""The four composite tasks with two models: which signature acts, and what each model can learn."""

from collections.abc import Callable
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
from ...tasks import Addition, LabelNeutral, Memory, Modular, shuffled
from ...tasks.composite import Composite
from ...train import train
from ..check import Check, Size
from ..measured import Measured, silent, single_precision
from .composite_checks import checks_of

TASKS = {"addition": Addition, "label-neutral": LabelNeutral, "modular": Modular, "memory": Memory}
MODELS = ("linear", "feedforward")


@dataclass(frozen=True)
class Setting:
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


SETTINGS = {
    "tiny": Setting(keys=8, anchors=5, width=16, hidden=32, learning_rate=1e-2, steps=150, permutations=99),
    "normal": Setting(),
}


@dataclass(frozen=True)
class Agreement:
    """How far the anchors' embeddings follow one kind of signature, over seeds.

    Attributes:
        r_cos: correlation of their cosines with those of the signatures.
        p_value: its Mantel p-value, one per seed.
        error: relative error of their Gram matrix after the best overall scale: sees the norms that cosines hide.
    """

    r_cos: Measured
    p_value: Measured
    error: Measured


@dataclass(frozen=True)
class Cell:
    """One task with one model; every quantity over seeds, beside the same training on shuffled labels.

    Attributes:
        task: the task's name.
        model: "linear" or "feedforward".
        accuracy: share of examples whose most likely label is the target.
        chance: accuracy of the best constant answer.
        ceiling: accuracy of the best function of the bag of tokens, which is all that both models see.
        order: Spearman correlation between the anchors' cosines and their closeness.
        label: agreement with the centred label signatures.
        context: agreement with the context signatures.
        cosines: the anchors' cosine matrix, mean over seeds.
    """

    task: str
    model: str
    accuracy: Measured
    chance: float
    ceiling: float
    order: Measured
    label: Agreement
    context: Agreement
    cosines: Float[np.ndarray, "token token"]

    def row(self) -> tuple[str, ...]:
        """The cell as text, in the order of `HEADER`."""
        agreements = [text for a in (self.label, self.context) for text in (str(a.r_cos), a.p_value.range())]
        bounds = f"{self.chance:.3f} / {self.ceiling:.3f}"
        return (self.task, self.model, str(self.accuracy), bounds, str(self.order), *agreements)


HEADER = (
    "task",
    "model",
    "accuracy",
    "chance / ceiling",
    "order",
    "R_cos label signature",
    "p",
    "R_cos context signature",
    "p",
)


@dataclass(frozen=True)
class CompositeTable:
    """Tasks by models; `cells` in the order of `TASKS` and `MODELS`, numbers as mean ± sd over `seeds`."""

    size: Size
    seeds: int
    setting: Setting
    cells: tuple[Cell, ...]

    def cell(self, task: str, model: str) -> Cell:
        return next(cell for cell in self.cells if (cell.task, cell.model) == (task, model))

    def checks(self) -> list[Check]:
        """What the published table asks; at size tiny only what holds there (see `composite_checks.tiny`)."""
        return checks_of(self)


def composite_table(
    size: Size, seeds: int = 5, progress: Callable[[str], None] = silent, setting: Setting | None = None
) -> CompositeTable:
    """Train every task with every model over `seeds` initialisations, each beside its shuffled-label control.

    Addition acts through the label signature (order one), label-neutral addition through the context signature (order
    three), modular addition through the joint signature alone, which a linear model cannot see; memory through none.

    Args:
        size: "tiny" (smaller task, seconds) or "normal" (the published setting).
        seeds: initialisations of each cell; at least two for a spread.
        progress: called with a line of text after each cell.
        setting: sizes and training of your own; `size` then only says what `checks` asks.

    Source: yao2025probability.
    """
    setting = SETTINGS[size] if setting is None else setting
    cells = []
    for task, model in product(TASKS, MODELS):
        cells.append(_cell(task, model, setting, seeds))
        progress(f"{task}, {model}: accuracy {cells[-1].accuracy}, order {cells[-1].order}")
    return CompositeTable(size, seeds, setting, tuple(cells))


def _cell(task_name: str, model_name: str, setting: Setting, seeds: int) -> Cell:
    task = TASKS[task_name](keys=setting.keys, anchors=setting.anchors)
    model, data = setting.model(model_name), task.dataset()
    # The control is relabelled anew for every seed, so its spread includes the relabelling.
    populations = [data] * seeds + [shuffled(data, seed) for seed in range(seeds)]
    params = _trained(model, populations, setting)
    scores = _accuracies(model, populations, params)
    found = _observed(params["embed"][:, task.anchor_tokens], _signature_rows(task, data), setting.permutations)
    seen = {name: np.asarray(values, np.float64) for name, values in {**found, "accuracy": scores}.items()}
    both = {name: Measured(values[:seeds], values[seeds:]) for name, values in seen.items() if values.ndim == 1}
    label, context = (Agreement(*(both[f"{kind} {n}"] for n in AGREEMENT)) for kind in ("label", "context"))
    bounds = accuracy_bounds(data)
    cosines = seen["cosines"][:seeds].mean(axis=0)
    return Cell(task_name, model_name, both["accuracy"], *bounds, both["order"], label, context, cosines)


def _trained(model: Model, populations: list[Dataset], setting: Setting) -> dict[str, Array]:
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


AGREEMENT = ("r_cos", "p_value", "error")


@partial(jax.jit, static_argnames="permutations")
def _observed(
    anchors: Float[Array, "seed token width"], rows: dict[str, Array], permutations: int
) -> dict[str, Float[Array, "seed ..."]]:
    """Everything that is read off the anchors' embeddings, by name."""

    def one(anchors: Array, key: Array) -> dict[str, Any]:
        found = {"order": order(anchors), "cosines": cosine(anchors)}
        for kind, target in rows.items():
            p_value = mantel(anchors, target, key=key, permutations=permutations)
            agreement = (r_cos(anchors, target), p_value, _gram_error(anchors, target))
            found |= {f"{kind} {name}": value for name, value in zip(AGREEMENT, agreement, strict=True)}
        return found

    anchors = anchors.astype(float)
    return jax.vmap(one)(anchors, jax.random.split(jax.random.key(1), anchors.shape[0]))


def _gram_error(rows: Array, target: Array) -> Array:
    return scale_free_error(rows @ rows.T, target @ target.T)


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
