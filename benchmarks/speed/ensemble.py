"""Training many seeds: one `je.ensemble` call against a PyTorch loop over seeds, on the same cores, in one run.

Both sides train the feedforward model with a hidden matrix (GELU, no biases) on addition with three tokens per
sequence: float32, AdamW, a fresh minibatch for every seed and step. Our side trains 32 seeds for 1,000 steps in slices;
between two slices PyTorch trains one seed per thread count for as many steps, so that both meet the same machine. A
PyTorch loop over 32 seeds takes 32 times one seed: its time per seed-step is measured, the whole loop is not waited for.
"""

import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxembed as je
from jaxembed.ensemble import choose_mapping, ensemble
from jaxembed.studies.check import Check
from jaxembed.train import advance, start

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import arguments, finish

try:
    import torch
except ImportError:
    torch = None

SEEDS, LEARNING_RATE, WEIGHT_DECAY, GAMMA = 32, 1e-3, 1e-2, 0.5


@dataclass(frozen=True)
class Setting:
    """One size of the problem, how it is sliced, and the speed-up asked for (None: none)."""

    keys: int
    anchors: int
    width: int
    hidden: int
    batch: int
    seeds: int
    slices: int
    steps: int
    torch_seeds: int
    asked: float | None
    rival_threads: tuple[int, ...]

    @property
    def task(self) -> je.tasks.Addition:
        return je.tasks.Addition(keys=self.keys, anchors=self.anchors)

    @property
    def name(self) -> str:
        return f"V{self.task.vocab} d{self.width} W{self.hidden} B{self.batch}"


SMALL = Setting(39, 8, 16, 64, 64, SEEDS, 10, 100, 4, 12.0, (1,))
LARGE = Setting(139, 20, 128, 512, 512, SEEDS, 10, 100, 1, 1.4, (1, 2))
TINY = Setting(39, 8, 16, 64, 64, 4, 2, 20, 1, None, (1, 2))


class Ours:
    """All seeds in one call; a slice continues where the last one stopped."""

    def __init__(self, setting: Setting) -> None:
        data = setting.task.dataset()
        model = je.models.Feedforward(width=setting.width, hidden=setting.hidden, gamma=GAMMA)
        optimizer = optax.adamw(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        self.loss = je.minibatch_loss(model, data, setting.batch)

        def begin(key: Any) -> Any:
            init_key, data_key = jax.random.split(key)
            return start(model.init(init_key, data.vocab, data.length), optimizer, data_key)

        def some_steps(progress: Any, loss: Any) -> Any:
            progress, trajectory = advance(loss, optimizer, progress, [setting.steps], save=lambda _: jnp.zeros(()))
            return progress, trajectory.info["mean_loss"]

        self.run = some_steps
        self.progress = ensemble(begin, jax.random.split(jax.random.key(0), setting.seeds))
        self.mapping = choose_mapping(some_steps, jax.tree.map(lambda x: x[0], self.progress), self.loss)
        self.seed_steps = setting.seeds * setting.steps
        clock = time.perf_counter()
        jax.block_until_ready(ensemble(self.run, self.progress, self.loss))
        self.first_call = time.perf_counter() - clock
        self.losses = np.zeros(setting.seeds)

    def slice(self) -> float:
        """Milliseconds per seed-step of the next slice."""
        clock = time.perf_counter()
        self.progress, losses = jax.block_until_ready(ensemble(self.run, self.progress, self.loss))
        elapsed = time.perf_counter() - clock
        self.losses = np.asarray(losses)[:, 0]
        return 1e3 * elapsed / self.seed_steps


class Rival:
    """The loop over seeds in PyTorch, with the quickest of AdamW's three implementations."""

    def __init__(self, setting: Setting, threads: int) -> None:
        self.setting, self.threads = setting, threads
        torch.manual_seed(threads)
        data = setting.task.dataset()
        self.tokens, self.targets = torch.tensor(data.tokens).long(), torch.tensor(data.targets).long()
        self.flavour = min(("loop", "foreach", "fused"), key=self._trial)
        self.seeds = [self._seed(self.flavour) for _ in range(setting.torch_seeds)]
        self.losses = np.zeros(setting.torch_seeds)

    def slice(self) -> float:
        """Milliseconds per seed-step of the next slice."""
        torch.set_num_threads(self.threads)
        clock = time.perf_counter()
        self.losses = np.asarray([self._train(*seed, self.setting.steps) for seed in self.seeds])
        return 1e3 * (time.perf_counter() - clock) / (self.setting.steps * len(self.seeds))

    def _seed(self, flavour: str) -> tuple[Any, Any]:
        s, vocab = self.setting, self.setting.task.vocab
        model = _torch_model(vocab, s.width, s.hidden)
        choice = {"foreach": flavour == "foreach", "fused": flavour == "fused"}
        return model, torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, **choice)

    def _train(self, model: Any, optimizer: Any, steps: int) -> float:
        total = torch.zeros(())
        for _ in range(steps):
            rows = torch.randint(len(self.tokens), (self.setting.batch,))
            loss = torch.nn.functional.cross_entropy(model(self.tokens[rows]), self.targets[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.detach()
        return float(total) / steps

    def _trial(self, flavour: str) -> float:
        torch.set_num_threads(self.threads)
        seed, steps = self._seed(flavour), max(5, self.setting.steps // 4)
        self._train(*seed, steps)
        clock = time.perf_counter()
        self._train(*seed, steps)
        return time.perf_counter() - clock


def _torch_model(vocab: int, width: int, hidden: int) -> Any:
    nn = torch.nn

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(vocab, width)
            self.hidden = nn.Linear(width, hidden, bias=False)
            self.unembed = nn.Linear(hidden, vocab, bias=False)
            for layer, fan_in in ((self.embed, vocab), (self.hidden, width), (self.unembed, hidden)):
                nn.init.normal_(layer.weight, std=fan_in**-GAMMA)

        def forward(self, tokens: Any) -> Any:
            return self.unembed(nn.functional.gelu(self.hidden(self.embed(tokens).sum(1))))

    return Model()


def race(setting: Setting) -> list[Check]:
    """Time both sides slice by slice, print what was seen, return what was asked."""
    ours, rivals = Ours(setting), [Rival(setting, threads) for threads in setting.rival_threads]
    times = [[side.slice() for side in (ours, *rivals)] for _ in range(setting.slices)]
    mine, *others = zip(*times, strict=True)
    print(f"\n{setting.name}, {setting.seeds} seeds x {setting.slices * setting.steps} steps, float32, AdamW")
    print(
        f"  jaxembed  {_spread(mine)}  loss {_spread(ours.losses)}  {ours.mapping}, {len(jax.devices())} device, "
        f"threads: all {CORES} cores; first call {ours.first_call:.1f} s with compiling, left out"
    )
    for rival, seen in zip(rivals, others, strict=True):
        print(
            f"  PyTorch   {_spread(seen)}  loss {_spread(rival.losses)}  threads: {rival.threads}, AdamW {rival.flavour}, "
            f"{setting.torch_seeds} of {setting.seeds} seeds timed"
        )
    ratios = [min(row[1:]) / row[0] for row in times]
    print(f"  ratio     {_spread(ratios)}  slice by slice; load of the machine {os.getloadavg()[0]:.1f}")
    return _checks(setting, ratios, ours.losses, np.concatenate([rival.losses for rival in rivals]))


def _checks(setting: Setting, ratios: list[float], ours: np.ndarray, theirs: np.ndarray) -> list[Check]:
    threads = "or ".join(f"{n} " for n in setting.rival_threads)
    speed = statistics.median(ratios)
    gap, allowed = abs(ours.mean() - theirs.mean()), max(5 * ours.std() / len(theirs) ** 0.5, 0.02 * ours.mean())
    chance = float(np.log(setting.task.vocab))
    checks = [
        Check(
            f"{setting.name}: same problem on both sides",
            f"mean losses of the last slice within {allowed:.3f}",
            f"{ours.mean():.3f} and {theirs.mean():.3f} (chance {chance:.3f})",
            bool(gap <= allowed),
        )
    ]
    if setting.asked is not None:
        asked = f">= {setting.asked:g}x PyTorch, {threads}thread(s)"
        checks.append(Check(f"{setting.name}: speed", asked, f"{speed:.2f}x", speed >= setting.asked))
    return checks


def _spread(values: Any) -> str:
    low, high = min(values), max(values)
    return f"{statistics.median(values):8.3f} [{low:.3f} .. {high:.3f}]"


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    jax.config.update("jax_enable_x64", False)
    if torch is None:
        print("skipped: PyTorch is not installed (pip install 'jaxembed[peers]'); nothing to compare with")
        return
    print("milliseconds per seed-step, loss: median [least .. most]")
    finish("Ensemble speed", [c for setting in ((TINY,) if args.size == "tiny" else (SMALL, LARGE)) for c in race(setting)])


if __name__ == "__main__":
    main()
