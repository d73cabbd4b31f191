"""A setting of generated sequences from start to end: networks trained, probed, and put beside nulls and ceiling."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, fields, make_dataclass, replace
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from .. import decoding
from ..decoding import BRIEF, HEADER, LatentResult, Recipe, Setting, Trained, plain
from .presets.catalogue import SETTINGS, find_setting
from ..models import Categorical, Gaussian, Lomax, Mixture, SquaredError, StudentT
from .results import Decoding, Panel

PANELS = ("R2", "accuracy", "L2", "KL")
"""Metrics that are drawn."""
HEADS = {
    "squared-error": SquaredError,
    "gaussian": Gaussian,
    "student-t": StudentT,
    "mixture": Mixture,
    "lomax": Lomax,
    "categorical": Categorical,
}
"""Names of heads as flags."""


@dataclass(frozen=True)
class Latent:
    """A setting of the catalogue, or a change of one.

    Attributes:
        name: of the setting.
        size: of the setting.
        seeds: how many networks; each has a world, data and draws of its own.
        setting: process, recipe and probing.
    """

    name: str
    size: str
    seeds: int
    setting: Setting

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise ValueError(f"seeds: must be at least 1, got {self.seeds}")

    def plain(self) -> dict[str, Any]:
        """As JSON data, for the run folder."""
        return plain(self)


def flags(name: str, size: str) -> Any:
    """A setting as a dataclass whose fields are flags, each with its value of the catalogue."""
    chosen = find_setting(name, size)
    recipe = chosen.recipe
    own = [(f.name, f.type, getattr(recipe, f.name)) for f in fields(Recipe) if f.name not in ("model", "head")]
    every = [
        ("size", Literal[tuple(SETTINGS[name])], size),
        ("seeds", int, 3),
        ("head", Literal[tuple(HEADS)], _name_of(recipe.head)),
        *own,
        ("model", type(recipe.model), recipe.model),
        ("process", type(chosen.process), chosen.process),
        ("probing", type(chosen.probing), chosen.probing),
    ]
    made = make_dataclass("Flags", [(n, kind, field(default=value)) for n, kind, value in every], frozen=True)
    made.__doc__ = FLAGS_DOC
    return made()


def of_flags(name: str, found: Any) -> Latent:
    """The experiment that flags describe."""
    chosen = find_setting(name, found.size)
    head = chosen.recipe.head if found.head == _name_of(chosen.recipe.head) else HEADS[found.head]()
    own = {f.name: getattr(found, f.name) for f in fields(Recipe) if f.name != "head"}
    recipe = Recipe(**own, head=head)
    # A setting asked for other positions is judged at the last one.
    judged = chosen.judged if chosen.judged in found.probing.positions else None
    parts = {"recipe": recipe, "process": found.process, "probing": found.probing, "judged": judged}
    return Latent(name, found.size, found.seeds, replace(chosen, **parts))


def run(
    experiment: Latent, keep: Path | None = None, progress: Callable[[str], None] = decoding.silent
) -> tuple[LatentResult, Trained]:
    """Carry it out.

    Args:
        experiment: what to run.
        keep: a folder for finished pieces, so that a stopped run goes on where it was.
        progress: takes lines on how far it is.
    """
    parts = (experiment.setting, experiment.name, experiment.size, experiment.seeds)
    return decoding.carried_out(*parts, keep=keep, progress=progress)


def memory_estimate(experiment: Latent) -> float:
    """Bytes that training holds, and the states that are probed, roughly; said before a run starts."""
    setting = experiment.setting
    probing, model = setting.probing, setting.recipe.model
    rows = probing.train + probing.validation + probing.test
    depths = 1 if probing.layers == "last" else getattr(model, "layers", 0) + 2
    states = 16.0 * rows * depths * len(probing.positions) * getattr(model, "width", 1)
    return decoding.memory_estimate(setting.process, setting.recipe, tuple(range(experiment.seeds))) + states


def arrays(trained: Trained) -> dict[str, np.ndarray]:
    """Parameters by path, `[seed, time, ...]`, with saved steps and losses."""
    found = jax.tree_util.tree_flatten_with_path({"params": trained.params, "worlds": trained.worlds})[0]
    named = {jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf) for path, leaf in found}
    return named | {"steps": trained.steps, "losses": trained.losses, "loss_steps": trained.loss_steps}


def shown(experiment: Latent, result: LatentResult) -> Decoding:
    """The result as what a report prints and draws."""
    setting = experiment.setting
    losses = ("trained", "untrained", "exact inference (floor)", "excess")
    lines = [f"{check.name}: {check.got}; asked {check.asked}" for check in result.checks()]
    lines.append("loss: " + ", ".join(f"{name} {text}" for name, text in zip(losses, result.loss_row(), strict=True)))
    return Decoding(
        title=f"{result.name} ({result.size})",
        caption=f"{type(setting.process).__name__}, {experiment.seeds} {result.decoded.varied}; "
        f"intervals (95 %) and dots are over seeds; {setting.recipe.steps} steps of {setting.recipe.batch} fresh "
        f"sequences of {setting.recipe.length}; probes: {setting.probing.train} train, "
        f"{setting.probing.validation} validation, {setting.probing.test} test sequences",
        header=HEADER,
        rows=tuple(result.rows()),
        brief=(BRIEF, *result.brief()),
        lines=tuple(lines),
        panels=tuple(_panels(result)),
        curve=(np.asarray(result.curve["steps"]), np.asarray(result.curve["losses"])),
        floor=np.asarray(result.decoded.losses["floor"]),
    )


def _panels(result: LatentResult) -> list[Panel]:
    found = []
    for target in result.decoded.targets:
        for metric in result.decoded.metrics(target):
            if metric in PANELS:
                place = {"position": result.judged}
                sources = {name: result.decoded.values(target, metric, name, **place) for name in decoding.SOURCES}
                found.append(Panel(target, metric, sources, result.decoded.share(target, metric, **place)))
    return found


def _name_of(head: Any) -> str:
    return next(name for name, kind in HEADS.items() if isinstance(head, kind))


_OF_RECIPE = inspect.cleandoc(Recipe.__doc__ or "").split("head: what its answers mean.\n", 1)[-1]
FLAGS_DOC = f"""A setting, its training and its probing.

Attributes:
    size: which of the sizes of the catalogue the other values start from.
    seeds: how many networks; each has a world, data and draws of its own.
    head: what the network's answers mean: squared error, or a likelihood.
{_OF_RECIPE}
    process: what generates the sequences.
    probing: what is read from the networks.
"""
