"""`jaxembed compare`: two finished runs, the second as a prediction of the first."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from .flags import parse


@dataclass(frozen=True)
class Compare:
    """Compare two finished runs: the second as a prediction of the first."""

    reference: tyro.conf.Positional[Path]
    """Folder of the run that counts as what happened."""
    prediction: tyro.conf.Positional[Path]
    """Folder of the run that counts as prediction."""
    trajectory: str = "training"
    """Which trajectory of each: training, "exact flow", "rung 1", ..."""


def run(arguments: list[str]) -> None:
    """Compare the cosines of the same tokens, seed by seed."""
    import jax

    from ..compare import compare
    from ..observables import cosine
    from ..runs import read_trajectory

    command = parse(Compare, arguments, prog="jaxembed compare")
    jax.config.update("jax_enable_x64", True)
    folders = (command.reference, command.prediction)
    (reference, names), (prediction, other_names) = (read_trajectory(folder, command.trajectory) for folder in folders)
    if names != other_names:
        raise ValueError(f"{command.prediction}: shows other tokens than {command.reference}; run the same task twice")
    seeds = min(reference.ts.shape[0], prediction.ts.shape[0])
    for seed in range(seeds):
        first, second = (jax.tree.map(lambda leaf, seed=seed: leaf[seed], line) for line in (reference, prediction))
        print(f"seed {seed} of {seeds}: cosines of {len(names)} tokens, {command.trajectory}")
        print(compare(first, second, lambda state: cosine(state["embed"])).table())
