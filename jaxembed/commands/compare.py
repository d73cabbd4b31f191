"""`jaxembed compare`: two finished runs, the second as a prediction of the first."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from ..keep import changes, read_record
from .printing import command, say


@dataclass(frozen=True)
class CompareFlags:
    """Compare two finished runs: the second as a prediction of the first."""

    reference: tyro.conf.Positional[Path]
    """Folder of the run that counts as what happened."""
    prediction: tyro.conf.Positional[Path]
    """Folder of the run that counts as prediction."""
    trajectory: str = "training"
    """Which trajectory of each: training, "exact flow", "rung 1", ..."""


@command(CompareFlags)
def run(flags: CompareFlags, console: Any) -> None:
    """Compare the cosines of the same tokens, seed by seed."""
    import jax

    from ..compare import compare
    from ..observables import cosine
    from ..runs import read_trajectory

    jax.config.update("jax_enable_x64", True)
    folders = (flags.reference, flags.prediction)
    for line in _otherwise(*folders):
        say(console, line)
    (reference, names), (prediction, other_names) = (read_trajectory(folder, flags.trajectory) for folder in folders)
    if names != other_names:
        raise ValueError(f"{flags.prediction}: shows other tokens than {flags.reference}; run the same task twice")
    counts = reference.ts.shape[0], prediction.ts.shape[0]
    seeds = min(counts)
    if counts[0] != counts[1]:
        say(console, f"seeds: {counts[0]} and {counts[1]}; the first {seeds} of each are compared, the others are not")
    for seed in range(seeds):
        first, second = (jax.tree.map(lambda leaf, seed=seed: leaf[seed], line) for line in (reference, prediction))
        say(console, f"seed {seed} of {seeds}: cosines of {len(names)} tokens, {flags.trajectory}")
        say(console, compare(first, second, lambda state: cosine(state["embed"])).table())


def _otherwise(reference: Path, prediction: Path) -> Iterator[str]:
    """What the two runs were made with that is not the same: settings, data, versions, device."""
    from ..runs.folder import CONFIG

    records = [
        read_record(folder / CONFIG) if (folder / CONFIG).is_file() else {} for folder in (reference, prediction)
    ]
    for part in ("settings", "sha256", "versions", "device", "dtype"):
        for name, (was, here) in changes(*({part: record.get(part)} for record in records)).items():
            yield f"{name}: {was} in {reference}, {here} in {prediction}"
