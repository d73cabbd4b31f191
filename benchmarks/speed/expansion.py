"""Cost of the expanded flow: the field of order 1 to 5, in gradients of the loss, by nested jvp and by Taylor mode.

A feedforward model on 256 distinct sequences of three tokens over a vocabulary of 120, in float64, expanded around the
origin. Every program is compiled beforehand, data and parameters are its arguments; then all are run in turn, one call
each, and the least time of each over the repeats is divided by the gradient's. One core. About 1 minute, `--size
tiny` a quarter of one, nothing asked of the ratios.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Before jax starts its threads: one core, so that a small gradient and a large field are charged alike.
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax
import numpy as np

import jaxembed as je
from jaxembed.base import checked_dataset
from jaxembed.theory import expansion

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import Check, arguments, finish

MODES = ("jvp", "jet")


@dataclass(frozen=True)
class Setting:
    """Sizes, how often everything is run, and by order how many gradients the default mode may cost."""

    samples: int
    vocab: int
    width: int
    repeats: int
    orders: tuple[int, ...]
    asked: dict[int, float]


NORMAL = Setting(samples=256, vocab=120, width=64, repeats=200, orders=(1, 2, 3, 4, 5), asked={3: 6.0, 4: 9.0})
TINY = Setting(samples=32, vocab=20, width=8, repeats=20, orders=(1, 2, 3), asked={})
HIDDEN = {"no hidden matrix": None, "hidden matrix": 64}


def programs(setting: Setting, hidden: int | None) -> dict[str, Callable[[], Any]]:
    """The gradient and every field, compiled, as functions without arguments."""
    rng = np.random.default_rng(0)
    tokens, targets = (rng.integers(setting.vocab, size=shape) for shape in ((setting.samples, 3), setting.samples))
    data = checked_dataset(tokens, targets, None, setting.vocab)
    model = je.models.Feedforward(setting.width, hidden, init_scale=0.1)
    loss, params = je.population_loss(model, data), model.init(jax.random.key(0), data.vocab, data.length)
    base = expansion.origin(params)
    gradient = jax.jit(lambda loss, state: jax.grad(loss)(state)).lower(loss, params).compile()
    found = {"gradient": lambda: gradient(loss, params)}
    for mode in MODES:
        for order in setting.orders:
            try:
                field = jax.jit(expansion.expand(loss, base, order, mode))
            except ValueError as refusal:  # newer JAX has no Taylor rule for the gradient of GELU
                print(f"  {mode}, order {order}: not measured. {refusal}")
                continue
            clock = time.perf_counter()
            compiled = field.lower(0.0, params, loss).compile()
            print(f"  {mode}, order {order}: compiled in {time.perf_counter() - clock:.1f} s", flush=True)
            found[f"{mode} {order}"] = lambda compiled=compiled: compiled(0.0, params, loss)
    return found


def least_times(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Seconds of the quickest call of each, all taking turns."""
    least = dict.fromkeys(calls, np.inf)
    for _ in range(repeats):
        for name, call in calls.items():
            clock = time.perf_counter()
            jax.block_until_ready(call())
            least[name] = min(least[name], time.perf_counter() - clock)
    return least


def _times(ratio: dict[str, float], mode: str, order: int) -> str:
    found = ratio.get(f"{mode} {order}")
    return "undefined" if found is None else f"{found:.2f}x"


def measure(setting: Setting) -> list[Check]:
    """Print every ratio; return what was asked of the default mode."""
    checks = []
    for name, hidden in HIDDEN.items():
        print(f"feedforward, {name}: {setting.samples} samples, {setting.vocab} tokens, width {setting.width}, float64")
        least = least_times(programs(setting, hidden), setting.repeats)
        ratio = {call: seconds / least["gradient"] for call, seconds in least.items()}
        print(f"  one gradient {1e3 * least['gradient']:.3f} ms (least of {setting.repeats})")
        for mode in MODES:
            print(
                f"  {mode}: " + ", ".join(f"order {k} {ratio.get(f'{mode} {k}', np.nan):.2f}x" for k in setting.orders)
            )
        for order, most in setting.asked.items():
            text = f"{_times(ratio, 'jvp', order)} (jet {_times(ratio, 'jet', order)})"
            passed = ratio[f"jvp {order}"] <= most
            checks.append(Check(f"{name}: field of order {order}", f"<= {most:g} gradients", text, passed))
    return checks


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    finish("cost of the expansion", measure(TINY if args.size == "tiny" else NORMAL))


if __name__ == "__main__":
    main()
