"""Training many seeds: one `je.ensemble` call against a PyTorch loop over seeds, on the same cores, in one run.

Both sides train the feedforward model with a hidden matrix (GELU, no biases) on addition, three tokens a sequence:
float32, AdamW, a fresh minibatch for every seed and step. Our side trains 32 seeds for 1,000 steps, in slices; between
two slices PyTorch trains a few seeds for as many steps, so that both sides meet the same machine. The loop's time for
32 seeds is that of a few, scaled. About 3 minutes on two idle cores; `--size tiny` half a minute, nothing asked.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxembed as je
from jaxembed.ensemble import choose_mapping, ensemble
from jaxembed.machine import cores
from jaxembed.tables import middle
from jaxembed.train import advance, start

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import Check, arguments, finish

GAMMA, ADAMW = 0.5, {"learning_rate": 1e-3, "weight_decay": 1e-2}


@dataclass(frozen=True)
class Setting:
    """One size of the problem, how it is sliced, and the speed-up asked for (None: none)."""

    keys: int
    anchors: int
    width: int
    hidden: int
    batch: int
    asked: float | None
    threads: tuple[int, ...]
    torch_seeds: int
    seeds: int = 32
    slices: int = 10
    steps: int = 100

    @property
    def task(self) -> je.tasks.Addition:
        return je.tasks.Addition(keys=self.keys, anchors=self.anchors)

    @property
    def name(self) -> str:
        return f"V{self.task.vocab} d{self.width} W{self.hidden} B{self.batch}"


SMALL = Setting(39, 8, width=16, hidden=64, batch=64, asked=12.0, threads=(1,), torch_seeds=4, slices=5, steps=200)
LARGE = Setting(139, 20, width=128, hidden=512, batch=512, asked=1.4, threads=(1, 2), torch_seeds=1)
TINY = Setting(39, 8, 16, 64, 64, asked=None, threads=(1, 2), torch_seeds=2, seeds=4, slices=2, steps=20)


class Ensemble:
    """All seeds in one call; every call continues where the last one stopped."""

    def __init__(self, setting: Setting) -> None:
        data = setting.task.dataset()
        model = je.models.Feedforward(width=setting.width, hidden=setting.hidden, gamma=GAMMA)
        optimizer = optax.adamw(**ADAMW)
        self.loss = je.minibatch_loss(model, data, setting.batch)

        def begin(key: Any) -> Any:
            init_key, data_key = jax.random.split(key)
            return start(model.init(init_key, data.vocab, data.length), optimizer, data_key)

        def some_steps(progress: Any, loss: Any) -> Any:
            progress, trajectory = advance(loss, optimizer, progress, [setting.steps], save=lambda _: jnp.zeros(()))
            return progress, trajectory.info["mean_loss"][0]

        self.some_steps, self.seed_steps = some_steps, setting.seeds * setting.steps
        self.progress = ensemble(begin, jax.random.split(jax.random.key(0), setting.seeds))
        first = jax.tree.map(lambda leaf: leaf[0], self.progress)
        self.mapping = choose_mapping(some_steps, first, self.loss)
        self.first_call = _clocks(lambda: self._call())[0]

    def advance(self) -> int:
        """Train every seed for one slice more; returns the seed-steps taken."""
        self.progress, losses = self._call()
        self.losses = np.asarray(losses)
        return self.seed_steps

    def _call(self) -> Any:
        return jax.block_until_ready(ensemble(self.some_steps, self.progress, self.loss))


def race(setting: Setting) -> list[Check]:
    """Time both sides slice by slice, print what was seen, return what was asked."""
    from _torch_loop import TorchLoop

    ours = Ensemble(setting)
    sizes = {"vocab": setting.task.vocab, "width": setting.width, "hidden": setting.hidden, "gamma": GAMMA}
    adamw = {"lr": ADAMW["learning_rate"], "weight_decay": ADAMW["weight_decay"]}
    data, seeds = setting.task.dataset(), setting.torch_seeds
    loops = [TorchLoop(data, sizes, setting.batch, adamw, seeds=seeds, threads=n) for n in setting.threads]
    turns = [ours.advance, *((lambda loop=loop: loop.advance(setting.steps)) for loop in loops)]
    seen = np.asarray([[_per_seed_step(turn) for turn in turns] for _ in range(setting.slices)])
    ratios = seen[:, 1:, 0].min(axis=1) / seen[:, 0, 0]

    print(f"\n{setting.name}: {setting.seeds} seeds x {setting.slices * setting.steps} steps, float32, AdamW")
    how = f"{ours.mapping}, {len(jax.devices())} devices on {cores()} cores; first call {ours.first_call:.1f} s"
    _line("jaxembed", seen[:, 0], ours.losses, how)
    for column, loop in enumerate(loops, start=1):
        how = f"{loop.threads} thread(s), AdamW {loop.flavour}; {seeds} of {setting.seeds} seeds run"
        _line("PyTorch", seen[:, column], loop.losses, how)
    print(f"  ratio     {middle(ratios, '.3f')}; load of the machine {os.getloadavg()[0]:.1f}", flush=True)
    theirs = np.concatenate([loop.losses for loop in loops])
    return [_same_problem(setting, ours.losses, theirs), *_fast_enough(setting, float(np.median(ratios)))]


def _same_problem(setting: Setting, ours: np.ndarray, theirs: np.ndarray) -> Check:
    """The control: a side that trained something else, or less, would end at another loss."""
    gap = abs(ours.mean() - theirs.mean())
    allowed = max(5 * ours.std() * (1 / len(ours) + 1 / len(theirs)) ** 0.5, 0.01 * ours.mean())
    got = f"{ours.mean():.4f} against {theirs.mean():.4f} (untrained {np.log(setting.task.vocab):.4f})"
    return Check(
        f"{setting.name}: same mean loss over the last slice", f"within {allowed:.4f}", got, bool(gap <= allowed)
    )


def _fast_enough(setting: Setting, ratio: float) -> list[Check]:
    if setting.asked is None:
        return []
    rival = f"PyTorch loop, best of {' and '.join(map(str, setting.threads))} thread(s)"
    return [Check(f"{setting.name}: speed", f">= {setting.asked:g}x {rival}", f"{ratio:.2f}x", ratio >= setting.asked)]


def _per_seed_step(turn: Callable[[], int]) -> tuple[float, float]:
    """Milliseconds per seed-step of one turn: on the wall, and summed over threads."""
    taken: list[int] = []
    wall, busy = _clocks(lambda: taken.append(turn()))
    return 1e3 * wall / taken[0], 1e3 * busy / taken[0]


def _clocks(call: Callable[[], Any]) -> tuple[float, float]:
    wall, busy = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - busy


def _line(side: str, seen: np.ndarray, losses: np.ndarray, how: str) -> None:
    loss = f"{losses.mean():.4f} ± {losses.std():.4f}"
    print(f"  {side:9} {middle(seen[:, 0], '.3f')}  cpu {np.median(seen[:, 1]):7.3f}  loss {loss}  {how}")


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    try:
        import torch
    except ImportError:
        print("skipped: there is no PyTorch to compare with; pip install 'jaxembed[peers]'")
        return
    jax.config.update("jax_enable_x64", False)
    jax.config.update("jax_num_cpu_devices", cores())  # one device per core: `ensemble` spreads seeds over them
    print("ms per seed-step: median [least .. most] over slices; cpu: summed over threads")
    print(f"our first call, which compiles, is left out of the slices; PyTorch {torch.__version__}")
    if (load := os.getloadavg()[0]) > 0.5:
        print(f"the machine is busy (load {load:.1f}): many threads then get little more than one; ratios need it idle")
    settings = (TINY,) if args.size == "tiny" else (SMALL, LARGE)
    finish("ensemble speed", [check for setting in settings for check in race(setting)])


if __name__ == "__main__":
    main()
