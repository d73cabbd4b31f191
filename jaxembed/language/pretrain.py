"""Pretraining of a language model on an encoded corpus: one compiled update, the rest on the host."""

from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float

from ..base import Progress, Trajectory, silent
from ..corpus.encoded import EncodedCorpus
from ..losses.language import LanguageModel
from ..models import Decoder
from .checkpoints import RunFolder, parameter_hash
from .memory import check_memory, memory_estimate
from .order import Order
from .placement import Placement
from .run import PretrainingRun, Reporter, Saves, on_host
from .settings import Pretraining
from .step import start

FETCH_EVERY = 10
"""Updates after which losses are fetched, which waits for the device."""


@dataclass(frozen=True)
class Pretrained:
    """What a run leaves.

    Attributes:
        trajectory: what `save` made of the parameters at every saved step, on the run's clock.
        params: at the end.
        losses: `[time]`, of every update before it was made, nats per token, float64.
        held_losses: `[time]`, on held-out text at every saved step; NaN where none was given.
        tokens_per_second: of this process's part of the run, without compiling, saving and evaluating.
    """

    trajectory: Trajectory
    params: Any
    losses: Float[np.ndarray, " time"]
    held_losses: Float[np.ndarray, " time"]
    tokens_per_second: float


def pretrain(
    model: LanguageModel,
    corpus: EncodedCorpus,
    settings: Pretraining,
    *,
    held: EncodedCorpus | None = None,
    params0: Any = None,
    save: Callable[[Any], Any] = lambda params: params,
    out: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    remember_every: int = 200,
    mesh: Mesh | None = None,
    shard: Literal["data", "full"] = "data",
    peak: float | None = None,
    memory_limit: float | None = None,
    progress: Progress = silent,
) -> Pretrained:
    """Train a language model on the next tokens of a corpus's packed documents.

    Args:
        model: what maps tokens to hidden states; see `LanguageModel`.
        corpus: an encoded corpus.
        settings: steps, batches, rule, seeds.
        held: encoded corpus for the held-out loss at every saved step.
        params0: initial parameters, which are left as they are; None draws them in float32 from `init_seed`.
        save: reduces the parameters to what is kept at every saved step.
        out: folder of the run; None keeps everything in memory.
        resume: go on with a stopped run in `out`: on the same machine, bit for bit as if it had not been stopped
            (on a GPU with `XLA_FLAGS=--xla_gpu_deterministic_ops=true`). Refused with other devices or another JAX.
        overwrite: replace an earlier run in `out`.
        remember_every: updates between two states written down for `resume`; a kill costs at most the updates since.
        mesh: devices of one axis "data" (see `data_mesh`); None is the default device alone.
        shard: see `Placement`.
        memory_limit: bytes that the run may take on each device (see `memory_estimate`); None asks the device.
        peak: floating-point operations per second of all devices; None measures one where `progress` is watched.
        progress: takes the loss and the speed every few updates.

    Raises:
        ValueError: for settings, corpus, memory and devices that do not fit, or a loss that is no longer finite.
    """
    placement, order = Placement(mesh, shard), Order(len(corpus.ids), settings.length, settings.data_seed)
    shapes = _shapes(model, corpus.vocab, settings, params0)
    _check_fit(model, corpus.vocab, settings, placement, shapes, memory_limit)
    identity = _identity(model, corpus, settings, held, placement)
    identity["start"] = "drawn" if params0 is None else parameter_hash(on_host(params0))
    facts = {"corpus": getattr(corpus.ids, "filename", None), "facts": corpus.facts}
    folder = None if out is None else RunFolder(out, identity, resume=resume, overwrite=overwrite, facts=facts)
    like = placement.like(jax.eval_shape(lambda: start(jax.tree.map(jnp.zeros_like, shapes), settings.update)))
    with nullcontext() if folder is None else closing(folder):
        begin = None if folder is None else folder.recalled(like)
        if begin is None:
            drawn = params0 is None
            fresh = initial_params(model, corpus.vocab, settings, placement) if drawn else placement.put(params0)
            begin = start(fresh, settings.update), np.zeros(0)
        elif mesh is None:  # as a fresh start lies there, for which the update may be compiled already
            begin = placement.put(begin[0]), begin[1]
        run, saves = PretrainingRun(model, corpus.ids, order, settings, placement, *begin), Saves(save, held, folder)
        saves.recall(run)
        _train(run, saves, Reporter(run, shapes["embed"].shape[0], progress, peak), remember_every)
    return Pretrained(saves.trajectory(settings), run.params, run.losses, saves.held_line(settings), run.meter.rate)


def _train(run: PretrainingRun, saves: Saves, report: Reporter, remember_every: int) -> None:
    first, last = run.step, run.settings.steps
    while True:
        step = run.step
        save_now = step in run.settings.saves
        remember_now = step > first and (step == last or step % remember_every == 0)
        # The first update is fetched by itself: it waits for the compiler.
        if save_now or remember_now or step in (first + 1, last) or step % FETCH_EVERY == 0:
            fresh = run.fetch()
            if len(fresh):
                report(run, fresh)
            if save_now:
                saves.take(run)
            if remember_now:
                saves.remember(run)
            if step == last:
                return
            if step > first:
                run.meter.go()
        run.advance()


def _identity(
    model: LanguageModel,
    corpus: EncodedCorpus,
    settings: Pretraining,
    held: EncodedCorpus | None,
    placement: Placement,
) -> dict[str, Any]:
    """What must not change when a run is resumed; the first that did is named, so hashes come last."""
    held_out = 0 if held is None else held.tokens
    return {
        "model": {"kind": type(model).__name__} | asdict(model),  # pyright: ignore[reportArgumentType]
        "settings": asdict(settings),
        "devices": placement.devices,
        "processes": placement.processes,
        "shard": placement.shard,
        "tokenizer": corpus.tokenizer_hash,
        "all_tokens": corpus.tokens + held_out,
        "held_out_tokens": held_out,
        "corpus": corpus.hash,
        "held": None if held is None else held.hash,
    }


def initial_params(model: LanguageModel, vocab: int, settings: Pretraining, placement: Placement) -> Any:
    """Float32 parameters drawn from `init_seed`, made where they belong."""
    draw = partial(model.init, jax.random.key(settings.init_seed), vocab, settings.length)
    # The same key draws other numbers in float64: a start must not depend on the caller's global setting.
    with jax.enable_x64(False):
        if placement.mesh is None:
            return placement.put(draw())
        return jax.jit(draw, out_shardings=placement.of(jax.eval_shape(draw)))()


def _shapes(model: LanguageModel, vocab: int, settings: Pretraining, params0: Any) -> Any:
    with jax.enable_x64(False):
        drawn = jax.eval_shape(partial(model.init, vocab=vocab, length=settings.length), jax.random.key(0))
    return (
        drawn if params0 is None else jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), params0)
    )


def _check_fit(
    model: LanguageModel, vocab: int, settings: Pretraining, placement: Placement, shapes: Any, limit: float | None
) -> None:
    placement.check(settings.batch // settings.accumulate)
    rows = shapes["embed"].shape[0]
    known = min(rows, shapes.get("unembed", shapes["embed"]).shape[0])
    if known < vocab:
        raise ValueError(
            f"params0: tables of {known} tokens for a corpus of {vocab}; start from a model that knows them"
        )
    if isinstance(model, Decoder):
        shared_out = placement.shard == "full"
        check_memory(memory_estimate(model, settings, rows, devices=placement.devices, shared_out=shared_out), limit)
