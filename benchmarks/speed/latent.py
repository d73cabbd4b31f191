"""Training a transformer on a hidden Markov model: our update against PyTorch's, on the same threads, in one run.

Width 128, 3 layers, 8 heads, 500 tokens of 64, batch 16, float32; clipped AdamW, from the same start on the same
sequences, which our side also draws. PyTorch runs its fused attention. The two take turns. Then 8 seeds in one call
beside 8 loops of one. About 2 minutes on two idle cores; `--size tiny` 12 seconds, and no speed is asked.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxembed.decoding import TrainingRecipe
from jaxembed.ensemble import ensemble
from jaxembed.machine import cores
from jaxembed.models import Categorical, SequenceTransformer
from jaxembed.models._sequence_module import sinusoids
from jaxembed.processes import HiddenMarkov
from jaxembed.tables import middle
from jaxembed.train import advance, start

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import Check, arguments, checks_table, finish, write_page

ASKED = 0.65
AGREE = 1e-3
"""How far the two sides' losses of one update may lie apart, relatively."""


@dataclass(frozen=True)
class Setting:
    """A process, a recipe, how often the two sides take turns, and the seeds of the second part."""

    process: HiddenMarkov
    recipe: TrainingRecipe
    rounds: int
    seeds: int
    seed_steps: int
    timed: bool = True


def recipe(model: SequenceTransformer, batch: int, length: int) -> TrainingRecipe:
    return TrainingRecipe(model, Categorical(), batch=batch, length=length, steps=1000, warmup=5)


NORMAL = Setting(HiddenMarkov(4, 64), recipe(SequenceTransformer(), 16, 501), rounds=8, seeds=8, seed_steps=2)
TINY = Setting(
    HiddenMarkov(2, 5), recipe(SequenceTransformer(16, 1, 2, 16), 4, 33), 3, seeds=2, seed_steps=2, timed=False
)


class Ours:
    """Members of one run, each with its own start and data, moved on by one compiled call."""

    def __init__(self, setting: Setting) -> None:
        self.setting, self.recipe, self.process = setting, setting.recipe, setting.process
        self.optimizer = self.recipe.optimizer
        self.world = jax.tree.map(jnp.float32, self.process.world(jax.random.key(0)))
        self.params = self.recipe.init(self.process, jax.random.key(1))

    def member(self, seed: int) -> Any:
        return start(self.params, self.optimizer, jax.random.key_data(jax.random.key(seed)))

    def batch(self, seed: int, step: int) -> np.ndarray:
        """The sequences that the library draws for a step."""
        key = jax.random.fold_in(self.member(seed).key, step)  # pyright: ignore[reportArgumentType]
        draw_key = jax.random.split(key)[0]
        return np.asarray(self.process.sample(draw_key, self.world, self.recipe.batch, self.recipe.length).items)

    @cached_property
    def some_steps(self) -> Callable[..., Any]:
        def run(now: Any, world: Any, gaps: Any) -> Any:
            loss = self.recipe.loss(self.process, world)
            now, line = advance(loss, self.optimizer, now, gaps, save=lambda params: ())
            return now, line.info["mean_loss"][0]

        return run

    @cached_property
    def compiled(self) -> Callable[..., Any]:
        return jax.jit(self.some_steps)


def race(setting: Setting, ours: Ours, device: str) -> tuple[list[str], list[Check]]:
    """Both sides in turns: what was seen, and what was asked."""
    from _torch_sequence import TorchSequence

    gaps = jnp.asarray([1], jnp.int32)
    positions = sinusoids(setting.recipe.length - 1, ours.params["embed"].shape[1])
    theirs = TorchSequence(setting.recipe, ours.params, positions, threads=cores(), device=device)
    batches = [ours.batch(0, step) for step in range(2 * setting.rounds + 1)]
    state = [ours.member(0)]

    def our_step(step: int) -> float:
        state[0], loss = ours.compiled(state[0], ours.world, gaps)
        return float(loss)

    losses, seconds, busy = [[our_step(0)], [theirs.advance(batches[0])]], ([], []), ([], [])
    for turn in range(setting.rounds):
        for side, step in enumerate((our_step, lambda i: theirs.advance(batches[i]))):
            wall, work = time.perf_counter(), time.process_time()
            losses[side] += [step(i) for i in (2 * turn + 1, 2 * turn + 2)]
            seconds[side].append((time.perf_counter() - wall) / 2)
            busy[side].append((time.process_time() - work) / 2)
    ratios = np.divide(seconds[1], seconds[0])
    predicted = setting.recipe.predicted
    lines = [_row(name, s, b, predicted) for name, s, b in zip(("jaxembed", "PyTorch"), seconds, busy, strict=True)]
    lines.append(
        f"ratio {middle(ratios)} over {setting.rounds} turns; of processor time "
        f"{np.median(busy[1]) / np.median(busy[0]):.2f}; {cores()} core(s) and threads on both sides; "
        f"load {os.getloadavg()[0]:.1f}"
    )
    return lines, [_same_losses(*losses), *_fast_enough(setting, float(np.median(ratios)))]


def many_seeds(setting: Setting, ours: Ours) -> tuple[list[str], list[Check]]:
    """All seeds in one call, on all devices, beside one loop per seed."""
    gaps = jnp.asarray([setting.seed_steps], jnp.int32)
    members = [ours.member(seed) for seed in range(setting.seeds)]
    together = jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)

    def one_call() -> np.ndarray:
        return np.asarray(ensemble(ours.some_steps, together, ours.world, gaps)[1])

    def loops() -> np.ndarray:
        return np.asarray([ours.compiled(member, ours.world, gaps)[1] for member in members])

    found, seconds = [], []
    for run in (one_call, loops):
        found.append(run())  # compiles
        clocks = []
        for _ in range(3 if setting.timed else 1):
            begin = time.perf_counter()
            run()
            clocks.append(time.perf_counter() - begin)
        seconds.append(min(clocks))
    gap = float(np.max(np.abs(found[0] / found[1] - 1)))
    count = setting.seeds * setting.seed_steps * setting.recipe.predicted
    devices = len(jax.devices())
    lines = [
        f"{setting.seeds} seeds in one call on {devices} device(s): {count / seconds[0]:,.0f} tokens/s; "
        f"{setting.seeds} loops: {count / seconds[1]:,.0f}; ratio {seconds[1] / seconds[0]:.2f}"
    ]
    return lines, [
        Check(f"loss of each of {setting.seeds} seeds, one call and loops", "within 1e-3", f"{gap:.1e}", gap < 1e-3)
    ]


def _same_losses(ours: list[float], theirs: list[float]) -> Check:
    """The control: another network, rule or batch would show in the loss, update by update."""
    mine, other = np.asarray(ours), np.asarray(theirs)
    gap = float(np.max(np.abs(mine / other - 1)))
    fallen = f"{mine[0]:.3f} to {mine[-1]:.3f}"
    return Check(f"same loss at each of {len(mine)} updates", f"within {AGREE:g}", f"{gap:.1e}; {fallen}", gap < AGREE)


def _fast_enough(setting: Setting, ratio: float) -> list[Check]:
    if not setting.timed:
        return []
    asked = ASKED if jax.default_backend() == "cpu" else 1.0
    return [
        Check(
            "tokens per second, width 128, 3 layers, 500 tokens",
            f">= {asked:g}x PyTorch",
            f"{ratio:.2f}x",
            ratio >= asked,
        )
    ]


def _row(name: str, seconds: list[float], busy: list[float], predicted: int) -> str:
    return f"{name:9} tokens/s {middle(predicted / np.asarray(seconds), '.0f')}  cpu s/update {np.median(busy):.3f}"


def main() -> None:
    args = arguments((__doc__ or "").splitlines()[0])
    jax.config.update("jax_enable_x64", False)
    jax.config.update("jax_num_cpu_devices", cores())
    setting = TINY if args.size == "tiny" else NORMAL
    ours = Ours(setting)  # one for both parts, which share what is compiled
    lines, checks = many_seeds(setting, ours)
    try:
        import torch
    except ImportError:
        print("no PyTorch to compare with: pip install 'jaxembed[peers]'; the seeds alone")
    else:
        on_card = jax.default_backend() != "cpu"
        if on_card and not torch.cuda.is_available():
            print("this PyTorch has no GPU: against it, run with JAX_PLATFORMS=cpu")
        else:
            raced = race(setting, ours, "cuda" if on_card else "cpu")
            lines, checks = [f"PyTorch {torch.__version__}", *raced[0], *lines], [*raced[1], *checks]
    print("\n".join(lines))
    if args.size == "normal":
        _write(args.out / "latent_speed.md", lines, checks)
    finish("speed of training on a process", checks)


def _write(path: Path, lines: list[str], checks: list[Check]) -> None:
    head = (
        f"{datetime.now(UTC):%Y-%m-%d}, {jax.devices()[0].device_kind}, {cores()} core(s), jax {jax.__version__}; "
        "`python benchmarks/speed/latent.py`"
    )
    title = "Speed of training on a process"
    lines = "\n".join(f"- {line}" for line in lines)
    write_page(path, [head, f"# {title}", checks_table(title, checks), lines])


if __name__ == "__main__":
    main()
