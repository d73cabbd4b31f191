"""One training run of the study of starts: its start, its text, and its curve, kept on disk once known."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Float

from ...corpus import EncodedCorpus
from ...language import Pretraining, pretrain
from ...models import Decoder, qwen2
from ...statistics import TokenPairs, count_neighbours
from ...theory.signature_start import Form, PairModes, pair_modes, permuted, rotated, signature_start, standard
from ..measured import single_precision
from .alignment_texts import encoded

Start = Literal["standard", "signatures", "rotation", "permuted"]
USUAL = 0.02
"""Root mean square entry of the architecture's own start."""
MODES_AS_THEY_ARE = Form()
QWEN2 = qwen2(128, 4, 4, 2, 344, tied=False)
"""The decoder of the project's measurements on The Pile: 1.8 million parameters with a vocabulary of 4,096."""


@dataclass(frozen=True)
class Cell:
    """A training run.

    Attributes:
        start: "standard" is the architecture's own, at other norms than its own scaled to them.
        seed: of init, data order and controls.
        steps: of a whole schedule, warm-up and cosine.
        share: of the training documents, the first ones.
        learning_rate: at the top of the schedule.
        form: of the signatures.
        norm: root mean square entry of both tables at the start.
    """

    start: Start
    seed: int
    steps: int
    share: float
    learning_rate: float
    form: Form = MODES_AS_THEY_ARE
    norm: float = USUAL


@dataclass(frozen=True)
class Setting:
    """Text, model and batches.

    Attributes:
        subset: see `alignment_texts.read`.
        characters: of it; None for all.
        vocab: of the byte-level BPE trained on it.
        held_out: tokens off its end for the held-out loss.
        model: an untied decoder.
        batch: sequences of an update.
        length: tokens of a sequence.
        warmup: share of the steps.
        saves: shares of the schedule at which the held-out loss is taken.
    """

    subset: str = "wikipedia_en"
    characters: int | None = None
    vocab: int = 4096
    held_out: int = 12_000
    model: Decoder = QWEN2
    batch: int = 16
    length: int = 128
    warmup: float = 0.1
    saves: tuple[float, ...] = (0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1)

    def steps_of(self, cell: Cell) -> tuple[int, ...]:
        """The steps at which a cell's held-out loss is taken."""
        return tuple(sorted({round(share * cell.steps) for share in self.saves}))


class Bench:
    """A text, read once, on which cells are trained; curves are kept in a folder where one is named."""

    def __init__(self, setting: Setting, folder: Path | None = None) -> None:
        self.setting, self.folder = setting, folder
        whole, _ = encoded(setting.subset, setting.vocab, setting.characters)
        self.train, self.held = whole.split(setting.held_out)
        self._parts: dict[float, tuple[EncodedCorpus, TokenPairs]] = {}
        self._curves: dict[Cell, np.ndarray] = {}
        self._modes: dict[tuple[float, float], PairModes] = {}

    def part(self, share: float) -> tuple[EncodedCorpus, TokenPairs]:
        """The first documents of the text trained on, and their pair counts."""
        if share not in self._parts:
            text = self.train.select(np.arange(max(1, round(share * len(self.train)))))
            self._parts[share] = text, count_neighbours(text.ids, text.ends, text.vocab)
        return self._parts[share]

    def curve(self, cell: Cell) -> Float[np.ndarray, " time"]:
        """Held-out loss at the setting's saves, from the folder where it is there already."""
        if cell not in self._curves:
            self._curves[cell] = self._kept(cell)
        return self._curves[cell]

    def _kept(self, cell: Cell) -> Float[np.ndarray, " time"]:
        path = None if self.folder is None else self.folder / f"{self._name(cell)}.json"
        if path is not None and path.is_file():
            return np.asarray(json.loads(path.read_text(encoding="utf-8"))["held"])
        held = self._trained(cell)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.write_text(json.dumps({"cell": asdict(cell), "held": held.tolist()}), encoding="utf-8")
            part.replace(path)
        return held

    def params(self, cell: Cell) -> dict[str, Any]:
        """The cell's initial parameters in float32: blocks of the architecture, tables by the cell's start."""
        model, key = self.setting.model, jax.random.key(cell.seed)
        params = single_precision(model.init(key, self.setting.vocab, self.setting.length))
        if cell.start == "standard" and cell.norm == USUAL:
            return params
        _, pairs = self.part(cell.share)
        keys = jax.random.split(jax.random.fold_in(key, 1))
        modes = self._modes_of(cell.share, cell.form.normaliser)
        start = signature_start(pairs, model.width, key=keys[0], norm=cell.norm, form=cell.form, modes=modes)
        control = {"standard": standard, "rotation": rotated, "permuted": permuted}.get(cell.start)
        return params | (control(start, keys[1]) if control else start)

    def _trained(self, cell: Cell) -> Float[np.ndarray, " time"]:
        setting = self.setting
        settings = Pretraining(
            steps=cell.steps,
            batch=setting.batch,
            length=setting.length,
            learning_rate=cell.learning_rate,
            warmup=round(setting.warmup * cell.steps),
            data_seed=cell.seed,
            save_steps=setting.steps_of(cell),
        )
        text, _ = self.part(cell.share)
        run = pretrain(
            setting.model, text, settings, held=self.held, params=self.params(cell), save=lambda params: params["norm"]
        )
        return np.asarray(run.held_losses, np.float64)

    def _modes_of(self, share: float, normaliser: float) -> PairModes:
        if (share, normaliser) not in self._modes:
            found = pair_modes(self.part(share)[1], self.setting.model.width, normaliser=normaliser)
            self._modes[share, normaliser] = found
        return self._modes[share, normaliser]

    def _name(self, cell: Cell) -> str:
        """Of everything that a curve depends on: an old curve is never taken for a new one."""
        identity = json.dumps([asdict(cell), asdict(self.setting), self.train.hash, self.held.hash], sort_keys=True)
        return hashlib.sha256(identity.encode()).hexdigest()[:24]
