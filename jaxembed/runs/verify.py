"""Two results side by side: the same bits, close, or different, and what they were made with that is not the same."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from .. import keep
from ..language import checkpoints
from ..machine import MAY_ROUND, SAME_BITS
from .folder import CONFIG, RESULT, finished

CLOSE = {8: 1e-6, 4: 1e-2}
"""Largest difference of two arrays that rounding explains, over their largest value, by the bytes of a number."""
BESIDE = ".json"
"""How the name of the record of word vectors ends, beside them."""
CURVE = "curve.npz"


@dataclass(frozen=True)
class Verdict:
    """What two results have in common.

    Attributes:
        verdict: "equal" bit for bit; "close" where rounding explains what differs and there is a reason for it to be
            otherwise; "different".
        largest: largest difference over the array's largest value; infinite where shapes or names differ.
        where: of which array.
        reasons: what the two were made with that is not the same.
    """

    verdict: Literal["equal", "close", "different"]
    largest: float
    where: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        because = "; ".join(self.reasons) or "nothing that is recorded"
        if self.verdict == "equal":
            return "equal: bit for bit" + (f", though there differs: {because}" if self.reasons else "")
        size = (
            f"by {self.largest:.2g} of its largest value"
            if np.isfinite(self.largest)
            else "in shape, or is in one only"
        )
        return f"{self.verdict}: {self.where} differs most, {size}; made otherwise: {because}"


def verdict(one: Path, other: Path) -> Verdict:
    """Compare two finished results of one kind: run folders, pretraining folders, or files of word vectors.

    Raises:
        ValueError: for what is no finished result, or is damaged.
    """
    records, arrays = (record_of(one), record_of(other)), (_arrays(one), _arrays(other))
    reasons, setting = _reasons(*records)
    names = arrays[0].keys() | arrays[1].keys()
    apart = {name: _apart(arrays[0].get(name), arrays[1].get(name)) for name in sorted(names)}
    lines = (*reasons, *setting)
    if all(same for _, same in apart.values()):
        return Verdict("equal", 0.0, "", lines)
    # Numbers that follow from arrays, such as the time of a crossing, may jump: arrays decide.
    if not reasons and "changes" in f"{records[0].get('git')} {records[1].get('git')}":
        lines = reasons = ("git (changes that no commit holds)",)
    near = all(far <= _most(arrays, name) for name, (far, _) in apart.items() if not name.startswith(RESULT))
    differing = [name for name, (_, same) in apart.items() if not same]
    judged = [name for name in differing if not name.startswith(RESULT)] or differing
    where = max(judged, key=lambda name: apart[name][0])
    return Verdict("close" if near and reasons and not setting else "different", apart[where][0], where, lines)


def record_of(place: Path) -> dict[str, Any]:
    """How a finished result was made.

    Raises:
        ValueError: where there is no record, or the run did not come to its end.
    """
    if place.is_file():
        beside = place.with_name(place.name + BESIDE)
        if not beside.is_file():
            raise ValueError(f"{place}: there is no record {beside.name} beside it; jaxembed words writes both")
        return keep.read_record(beside)
    if (place / CONFIG).is_file() and finished(place):
        return keep.read_record(place / CONFIG)
    if (place / checkpoints.RUN).is_file() and (place / CURVE).is_file():
        made = keep.read_record(place / checkpoints.RUN)
        return {**made.get("made_by", {}), "settings": made.get("run")}
    raise ValueError(f"{place}: holds no finished run; name the folder of one, or a file of word vectors")


def _arrays(place: Path) -> dict[str, np.ndarray]:
    if place.is_file():
        from ..words import read_vectors

        vectors = read_vectors(place)
        return {"vectors": vectors.matrix, "words": np.array(vectors.words)}
    files = sorted(place.glob("*.npz"))
    arrays = {f"{file.name}/{name}": a for file in files for name, a in keep.read_arrays(file).items()}
    if (place / CONFIG).is_file():
        arrays |= {f"{RESULT}{name}": a for name, a in _numbers(keep.from_json(keep.read_record(place / RESULT)))}
        return arrays
    for step in checkpoints.saved_steps(place):
        leaves = jax.tree.leaves_with_path(checkpoints.read_params(place, step))
        arrays |= {f"step {step}{jax.tree_util.keystr(path)}": np.asarray(leaf) for path, leaf in leaves}
    return arrays


def _numbers(value: Any, name: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """All numbers of a record by their place, but for how long something took."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if "second" not in key:
                yield from _numbers(item, f"{name}/{key}")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _numbers(item, f"{name}/{i}")
    elif isinstance(value, (int, float)):
        yield name, np.asarray(value, np.float64)


def _apart(one: np.ndarray | None, other: np.ndarray | None) -> tuple[float, bool]:
    """The largest difference over the largest value, and whether all bits are the same."""
    if one is None or other is None or one.shape != other.shape:
        return np.inf, False
    if one.dtype == other.dtype and one.tobytes() == other.tobytes():
        return 0.0, True
    if one.dtype.kind != other.dtype.kind or one.dtype.kind not in "fiub":
        return np.inf, False
    a, b = one.astype(np.float64), other.astype(np.float64)
    finite = np.isfinite(a)
    if not np.array_equal(finite, np.isfinite(b)) or not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return np.inf, False
    a, b = a[finite], b[finite]
    largest = max(float(np.abs(values).max(initial=0.0)) for values in (a, b))
    return float(np.abs(a - b).max(initial=0.0)) / (largest or 1.0), False


def _most(arrays: tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]], name: str) -> float:
    """The largest difference of an array that rounding explains; integers and texts have none."""
    kinds = [a[name].dtype for a in arrays if name in a]
    return CLOSE.get(min(kind.itemsize for kind in kinds), 0.1) if all(kind.kind == "f" for kind in kinds) else 0.0


def _reasons(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What may change last bits; and settings and data, which change more than those."""
    found = keep.changes(one, other)
    lines = {name: f"{name} ({was} and {here})" for name, (was, here) in found.items()}
    machine = (*SAME_BITS, *MAY_ROUND, "versions", "settings.dtype")
    reasons = tuple(line for name, line in lines.items() if name.startswith(machine))
    content = ("settings", "sha256")
    setting = (line for name, line in lines.items() if name.startswith(content) and not name.startswith(machine))
    return reasons, tuple(setting)
