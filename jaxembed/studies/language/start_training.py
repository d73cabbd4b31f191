"""One training run of the study of starts: its start, its text, and its curve, kept on disk once known."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Float

from ...corpus import EncodedCorpus
from ...keep import kept_arrays
from ...language import Pretraining, pretrain
from ...models import Decoder, qwen2
from ...statistics import TokenPairs, count_neighbours
from ...theory.signature_start import Form, PairModes, pair_modes, permuted, rotated, signature_start, standard
from ...train import single_precision
from .alignment_texts import encoded

Start = Literal["standard", "signatures", "rotation", "permuted"]
USUAL = 0.02
"""Root mean square entry of the architecture's own start."""
MODES_AS_THEY_ARE = Form()
QWEN2 = qwen2(128, 4, 4, 2, 344, tied=False)
"""The decoder of the project's measurements on The Pile: 1.8 million parameters with a vocabulary of 4,096."""


@dataclass(frozen=True)
class StartRun:
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
class BenchSetting:
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

    def steps_of(self, run: StartRun) -> tuple[int, ...]:
        """The steps at which a run's held-out loss is taken."""
        return tuple(sorted({round(share * run.steps) for share in self.saves}))


class Bench:
    """A text, read once, on which runs are trained; curves are kept in a folder where one is named."""

    def __init__(self, setting: BenchSetting, folder: Path | None = None) -> None:
        self.setting, self.folder = setting, folder
        whole, _ = encoded(setting.subset, setting.vocab, setting.characters)
        self.train, self.held = whole.split(setting.held_out)
        self.part, self.curve, self._modes = cache(self._part), cache(self._curve), cache(self._pair_modes)

    def _part(self, share: float) -> tuple[EncodedCorpus, TokenPairs]:
        """The first documents of the text trained on, and their pair counts."""
        text = self.train.select(np.arange(max(1, round(share * len(self.train)))))
        return text, count_neighbours(text.ids, text.ends, text.vocab)

    def _curve(self, run: StartRun) -> Float[np.ndarray, " time"]:
        """Held-out loss at the setting's saves, from the folder where it is there already."""
        identity = (run, self.setting, self.train.hash, self.held.hash)
        return kept_arrays(self.folder, run.start, identity, lambda: {"held": self._trained(run)})["held"]

    def params(self, run: StartRun) -> dict[str, Any]:
        """The run's initial parameters in float32: blocks of the architecture, tables by the run's start."""
        model, key = self.setting.model, jax.random.key(run.seed)
        params = single_precision(model.init(key, self.setting.vocab, self.setting.length))
        if run.start == "standard" and run.norm == USUAL:
            return params
        _, pairs = self.part(run.share)
        keys = jax.random.split(jax.random.fold_in(key, 1))
        modes = self._modes(run.share, run.form.normaliser)
        start = signature_start(pairs, model.width, key=keys[0], norm=run.norm, form=run.form, modes=modes)
        control = {"standard": standard, "rotation": rotated, "permuted": permuted}.get(run.start)
        return params | (control(start, keys[1]) if control else start)

    def _trained(self, run: StartRun) -> Float[np.ndarray, " time"]:
        setting = self.setting
        settings = Pretraining(
            run.steps, setting.batch, setting.length, run.learning_rate, round(setting.warmup * run.steps),
            data_seed=run.seed, save_steps=setting.steps_of(run),
        )  # fmt: skip
        text, _ = self.part(run.share)
        found = pretrain(
            setting.model, text, settings, held=self.held, params0=self.params(run), save=lambda params: params["norm"]
        )
        return np.asarray(found.held_losses, np.float64)

    def _pair_modes(self, share: float, normaliser: float) -> PairModes:
        return pair_modes(self.part(share)[1], self.setting.model.width, normaliser=normaliser)
