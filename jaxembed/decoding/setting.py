"""A process, how networks are trained on it, and what is read from them: trained, probed and scored in one call."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, make_dataclass, replace
from inspect import cleandoc
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from ..base import Progress, silent
from ..models import Categorical, Gaussian, Lomax, Mixture, SquaredError, StudentT
from .decode import check_probing, decode
from .probing import Probing
from .result import DecodingResult
from .training import Trained, TrainingRecipe, memory_estimate, piece_ends, train_models

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
class DecodingSetting:
    """Process, training and probing: what `jaxembed run hmm` runs, and a user's own.

    Attributes:
        process: draws the sequences and knows the exact posterior.
        recipe: of the training.
        probing: what is read.
        main: target and metric that the setting is judged by.
        expect: one line: the number to expect and the time it takes on two cores.
        judged: position of the probing after which it is judged; None is the last one.
        seeds: how many networks, or which; each has a world, data and draws of its own.
        name: what the results are called; that of the process unless given.
    """

    process: Any
    recipe: TrainingRecipe
    probing: Probing
    main: tuple[str, str]
    expect: str = ""
    judged: int | None = None
    seeds: int | tuple[int, ...] = 3
    name: str = ""

    def __post_init__(self) -> None:
        if not self.members:
            raise ValueError(f"seeds: must be at least 1, got {self.seeds}")
        if self.main[0] not in self.probing.targets:
            raise ValueError(f"main: {self.main[0]!r} is not among the probed targets {self.probing.targets}")
        check_probing(self.process, self.recipe, self.probing)
        if self.judged is not None and self.judged not in self.probing.positions:
            raise ValueError(f"judged: {self.judged} is not among the probed positions {self.probing.positions}")

    @property
    def members(self) -> tuple[int, ...]:
        """The seeds themselves."""
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds

    @property
    def subject(self) -> tuple[str, str]:
        """Process and network."""
        return type(self.process).__name__, type(self.recipe.model).__name__

    def data(self) -> tuple[()]:
        """Nothing: the fields say all about the sequences."""
        return ()

    def memory(self) -> float:
        """Bytes that training holds, and the states that are probed, roughly."""
        probing, model = self.probing, self.recipe.model
        depths = 1 if probing.layers == "last" else getattr(model, "layers", 0) + 2
        states = 16.0 * probing.sequences * depths * len(probing.positions) * getattr(model, "width", 1)
        return memory_estimate(self.process, self.recipe, self.members) + states

    def stages(self) -> int:
        """Pieces of training, and a probing of every seed."""
        return len(piece_ends(self.recipe)) + len(self.members)

    def run(self, stages: Any) -> DecodingResult:
        """Train, probe and score.

        Args:
            stages: `keep()` names a folder for finished pieces, or None; `progress` takes lines.

        Raises:
            ValueError: for a folder of another run, or training that diverges.
        """
        return self.result(keep=stages.keep(), progress=stages.progress)

    def result(self, *, keep: Path | None = None, progress: Progress = silent) -> DecodingResult:
        """The same, given a folder for training and scores, so that a killed run goes on where it was."""
        began = time.perf_counter()
        folder = None if keep is None else keep / "training"
        trained = train_models(self.process, self.recipe, self.members, keep=folder, progress=progress)
        done = time.perf_counter()
        decoded = decode(self.process, self.recipe, trained, self.probing, keep=keep, progress=progress)
        facts = {"seconds of training": done - began, "seconds of probing": time.perf_counter() - done}
        curve = {"steps": trained.loss_steps, "losses": trained.losses}
        judged = None if self.judged is None else self.judged % self.recipe.length
        title = self.name or type(self.process).__name__
        return DecodingResult(title, self._caption(decoded.varied), self.main, decoded, curve, facts, judged, trained)

    def read(self, record: Any, arrays: Mapping[str, np.ndarray]) -> DecodingResult:
        """The result from what a finished run left: its record as numbers again, and its arrays."""
        result, key = DecodingResult.of_record(record), jax.random.key(0)
        shapes = {"params": lambda: self.recipe.init(self.process, key), "worlds": lambda: self.process.world(key)}
        paths, tree = jax.tree_util.tree_flatten_with_path({name: jax.eval_shape(of) for name, of in shapes.items()})
        named = [arrays[jax.tree_util.keystr(path, simple=True, separator="/")] for path, _ in paths]
        trees = tree.unflatten(named)
        curve = (arrays["steps"], arrays["losses"], arrays["loss_steps"])
        return replace(result, trained=Trained(trees["params"], *curve, trees["worlds"], result.decoded.seeds))

    def flags(self) -> Any:
        """What a command line sets: seeds, head, the recipe's fields, network, process and probing."""
        head = ("head", Literal[tuple(HEADS)], _name_of(self.recipe.head))
        numbers = [f for f in fields(TrainingRecipe) if f.name not in ("model", "head")]
        parts = {"model": self.recipe.model, "process": self.process, "probing": self.probing}
        every = [
            ("seeds", int, len(self.members)),
            head,
            *((f.name, f.type, getattr(self.recipe, f.name)) for f in numbers),
        ]
        every += [(name, type(part), part) for name, part in parts.items()]
        flags = make_dataclass(
            "Flags", [(name, kind, field(default=value)) for name, kind, value in every], frozen=True
        )
        flags.__doc__ = FLAGS_DOC
        return flags()

    def with_flags(self, flags: Any) -> "DecodingSetting":
        """The setting that flags describe; the head stays as it is where its name does."""
        head = self.recipe.head if flags.head == _name_of(self.recipe.head) else HEADS[flags.head]()
        own = {f.name: getattr(flags, f.name) for f in fields(TrainingRecipe) if f.name != "head"}
        parts = {name: getattr(flags, name) for name in ("process", "probing", "seeds")}
        # A setting asked for other positions is judged at the last one.
        judged = self.judged if self.judged in flags.probing.positions else None
        return replace(self, recipe=TrainingRecipe(**own, head=head), judged=judged, **parts)

    def _caption(self, varied: str) -> str:
        recipe, probing = self.recipe, self.probing
        return (
            f"{type(self.process).__name__}, {len(self.members)} {varied}; intervals (95 %) and dots are over seeds; "
            f"{recipe.steps} steps of {recipe.batch} fresh sequences of {recipe.length}; probes: {probing.train} "
            f"train, {probing.validation} validation, {probing.test} test sequences"
        )


def _name_of(head: Any) -> str:
    return next((name for name, kind in HEADS.items() if isinstance(head, kind)), type(head).__name__)


_OF_RECIPE = cleandoc(TrainingRecipe.__doc__ or "").split("head: what its answers mean.\n", 1)[-1]
FLAGS_DOC = f"""A setting, its training and its probing.

Attributes:
    seeds: how many networks; each has a world, data and draws of its own.
    head: what the network's answers mean: squared error, or a likelihood.
{_OF_RECIPE}
    process: what generates the sequences.
    probing: what is read from the networks.
"""
