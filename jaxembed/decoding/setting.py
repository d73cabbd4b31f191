"""A process, how networks are trained on it, and what is read from them, carried out start to end."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .decode import check_probing, decode
from .probing import Probing
from .result import LatentResult, plain
from .training import Recipe, Report, Trained, silent, train_models


@dataclass(frozen=True)
class Setting:
    """Process, training and probing.

    Attributes:
        process: draws the sequences and knows the exact posterior.
        recipe: of the training.
        probing: what is read.
        main: target and metric that the setting is judged by.
        expect: one line: the number to expect and the time it takes on two cores.
        judged: position of the probing after which it is judged; None is the last one.
    """

    process: Any
    recipe: Recipe
    probing: Probing
    main: tuple[str, str]
    expect: str = ""
    judged: int | None = None

    def __post_init__(self) -> None:
        if self.main[0] not in self.probing.targets:
            raise ValueError(f"main: {self.main[0]!r} is not among the probed targets {self.probing.targets}")
        check_probing(self.process, self.recipe, self.probing)
        if self.judged is not None and self.judged not in self.probing.positions:
            raise ValueError(f"judged: {self.judged} is not among the probed positions {self.probing.positions}")


def carried_out(
    setting: Setting,
    name: str,
    size: str,
    seeds: int | Sequence[int] = 3,
    keep: Path | None = None,
    progress: Report = silent,
) -> tuple[LatentResult, Trained]:
    """Train, probe and score a setting.

    Args:
        setting: what to carry out.
        name: under which the result goes.
        size: the same.
        seeds: how many, or which; each has a network, a world and draws of its own.
        keep: a folder for training and scores, so that a killed run goes on where it was.
        progress: takes lines on how far it is.

    Raises:
        ValueError: for a folder of another run, or training that diverges; what cannot be probed, `Setting` refuses.

    Returns:
        The result, and the trained networks for more controls.
    """
    members = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    began = time.perf_counter()
    folder = None if keep is None else keep / "training"
    trained = train_models(setting.process, setting.recipe, members, keep=folder, progress=progress)
    done = time.perf_counter()
    decoded = decode(setting.process, setting.recipe, trained, setting.probing, keep=keep, progress=progress)
    seconds = {"training": done - began, "probing": time.perf_counter() - done}
    curve = {"steps": trained.loss_steps, "losses": trained.losses}
    judged = None if setting.judged is None else setting.judged % setting.recipe.length
    return LatentResult(name, size, setting.main, plain(setting), decoded, curve, seconds, judged), trained
