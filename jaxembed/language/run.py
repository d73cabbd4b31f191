"""The moving parts of a run: its state and losses, what it saves, what it reports."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ..base import Progress, Trajectory, all_finite, silent
from ..corpus.encoded import EncodedCorpus
from ..losses.language import LanguageModel
from .checkpoints import RunFolder, parameter_hash
from .held_out import held_out_loss
from .meter import Meter, Pace, peak_of_all
from .order import Order, cut
from .placement import Placement
from .settings import Pretraining
from .step import advance


class PretrainingRun:
    """Parameters, moments and losses, moved on one update at a time without waiting for the device."""

    def __init__(
        self,
        model: LanguageModel,
        ids: np.ndarray,
        order: Order,
        settings: Pretraining,
        placement: Placement,
        state: Any,
        losses: Float[np.ndarray, " time"],
    ) -> None:
        self.model, self.ids, self.settings, self.placement, self.state = model, ids, settings, placement, state
        self.order = order
        self.rates = settings.rates()
        self.meter = Meter()
        self.losses = losses
        self._pending: list[Any] = []
        shardings = placement.of(state)
        self._shardings = None if shardings is None else tuple(jax.tree.leaves(shardings))

    @property
    def step(self) -> int:
        """Updates made."""
        return len(self.losses) + len(self._pending)

    @property
    def params(self) -> Any:
        """The parameters as they are now; the next update uses them up."""
        return self.state[0]

    def tokens(self, step: int) -> Int[np.ndarray, "time example position"]:
        """This host's rows of the batch of an update, in the pieces that gradients are accumulated over."""
        batch, pieces = self.settings.batch, self.settings.accumulate
        starts = self.order.starts(step * batch, batch).reshape(pieces, -1)
        mine = starts[:, self.placement.rows(starts.shape[1])]
        return cut(self.ids, mine.ravel(), self.settings.length).reshape(pieces, mine.shape[1], -1)

    def advance(self) -> None:
        """One update; it may still be under way on the device when this returns."""
        rate = np.asarray(self.rates[self.step], np.float32)
        self.state, loss = advance(
            self.state,
            self.placement.batch(self.tokens(self.step)),
            rate,
            model=self.model,
            update=self.settings.update,
            compute_dtype=self.settings.compute_dtype,
            shardings=self._shardings,
        )
        self._pending.append(loss)

    def too_fast(self, what: str) -> str:
        """The line about something that is not finite any more."""
        rate, warmup = self.settings.learning_rate, self.settings.warmup
        return f"learning_rate: the {what} is not finite; lower --learning-rate ({rate:g}) or raise --warmup ({warmup})"

    def fetch(self) -> Float[np.ndarray, " time"]:
        """Wait for the updates under way and take in their losses.

        Raises:
            ValueError: where one is not finite.
        """
        fresh = np.asarray(jax.device_get(self._pending), np.float64)
        if not np.all(np.isfinite(fresh)):
            broken = len(self.losses) + int(np.argmin(np.isfinite(fresh)))
            raise ValueError(self.too_fast(f"loss of update {broken + 1}"))
        self.losses, self._pending = np.concatenate([self.losses, fresh]), []
        self.meter.pause(len(fresh) * self.settings.predicted)
        return fresh


class Saves:
    """What is kept at the saved steps: on the host, and in the run's folder where there is one."""

    def __init__(self, save: Callable[[Any], Any], held: EncodedCorpus | None, folder: RunFolder | None) -> None:
        self.reduce, self.held, self.folder = save, held, folder
        self.pieces: dict[int, tuple[Any, float]] = {}

    def recall(self, run: PretrainingRun) -> None:
        """Take over what the folder holds of the run so far."""
        if self.folder is not None and run.step > 0:
            kept = self.folder.saved(self.reduce(run.params))
            self.pieces = {step: entry for step, entry in kept.items() if step <= run.step}

    def take(self, run: PretrainingRun) -> None:
        """Keep what is to be kept of this step.

        Raises:
            ValueError: where the parameters are not finite.
        """
        if run.step in self.pieces:
            return
        if not bool(all_finite(run.params)):
            raise ValueError(run.too_fast(f"model after update {run.step}"))
        kept, held_loss = on_host(self.reduce(run.params)), self._held_loss(run)
        self.pieces[run.step] = kept, held_loss
        if self.folder is not None:
            self.folder.save(run.step, run.params, kept, held_loss, parameter_hash(on_host(run.params)))

    def remember(self, run: PretrainingRun) -> None:
        """Write down the whole state, so that a kill costs only what comes after."""
        if self.folder is not None:
            self.folder.remember(run.step, run.state, run.losses)

    def trajectory(self, settings: Pretraining) -> Trajectory:
        """All saved steps on the run's clock."""
        ys = jax.tree.map(lambda *leaves: np.stack(leaves), *(self.pieces[step][0] for step in settings.saves))
        return Trajectory(jnp.asarray(settings.times(), float), ys, clock=settings.clock)

    def held_line(self, settings: Pretraining) -> Float[np.ndarray, " time"]:
        """The held-out loss at all saved steps."""
        return np.array([self.pieces[step][1] for step in settings.saves])

    def _held_loss(self, run: PretrainingRun) -> float:
        if self.held is None:
            return float("nan")
        sizes = run.settings.length, run.settings.batch // run.settings.accumulate
        dtype, placement = run.settings.compute_dtype, run.placement
        return held_out_loss(run.model, run.params, self.held, *sizes, compute_dtype=dtype, placement=placement)


def on_host(tree: Any) -> Any:
    """Copies of arrays in the host's memory, gathered from other hosts where they are shared out."""

    def one(leaf: Any) -> np.ndarray:
        if isinstance(leaf, jax.Array) and leaf.is_fully_replicated:
            leaf = leaf.addressable_data(0)
        elif isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
            from jax.experimental.multihost_utils import process_allgather

            leaf = process_allgather(leaf, tiled=True)
        return np.array(leaf)

    return jax.tree.map(one, tree)


class Reporter:
    """Says how far a run is."""

    def __init__(self, run: PretrainingRun, vocab: int, progress: Progress, peak: float | None) -> None:
        self.progress = progress
        count = getattr(run.model, "flops_per_token", None)
        if progress is silent or count is None:
            self.share = float("nan")
            return
        peak = peak_of_all(run.placement, run.settings.compute_dtype) if peak is None else peak
        self.share = count(vocab, run.settings.length) / peak

    def __call__(self, run: PretrainingRun, losses: Float[np.ndarray, " time"]) -> None:
        """Report the updates whose losses were just fetched."""
        speed, steps = run.meter.lap(), run.settings.steps
        pace = Pace(run.step, steps, float(losses.mean()), speed, speed * self.share)
        self.progress(f"{run.step} of {steps} updates, {pace}", run.step / steps)
