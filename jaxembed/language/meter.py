"""How fast a run goes: tokens per second and the share of the device's arithmetic that the model's products use."""

import time
from dataclasses import dataclass
from functools import cache

import jax
import jax.numpy as jnp

from .placement import Placement

SIDES = {"cpu": 1024}
"""Side of the matrices whose product shows a device's peak: large enough to hide what a call costs."""
SIDE, REPEATS = 8192, 3


@dataclass(frozen=True)
class Pace:
    """How far a run is, and how fast it goes.

    Attributes:
        step: updates made.
        steps: updates to make.
        loss: mean over the updates since the last report, nats per token.
        tokens_per_second: since the last report; NaN in the first one, which waits for the compiler.
        utilisation: model-FLOP utilisation, the arithmetic of the model's matrix products over what the devices can do;
            NaN where the model does not say.
    """

    step: int
    steps: int
    loss: float
    tokens_per_second: float
    utilisation: float

    def __str__(self) -> str:
        speed = f", {self.tokens_per_second:,.0f} tokens/s, MFU {self.utilisation:.1%}"
        return f"loss {self.loss:.4f}{speed if self.tokens_per_second > 0 else ''}"


class Meter:
    """Tokens and seconds of a run; what is not training is left out."""

    def __init__(self) -> None:
        self.tokens, self.seconds = 0, 0.0
        self._last, self._since = (0, 0.0), None

    def go(self) -> None:
        """Training goes on now."""
        self._since = time.perf_counter()

    def pause(self, tokens: int) -> None:
        """So many tokens are done; the clock stands until `go`. Before the first `go` nothing counts."""
        if self._since is not None:
            self.tokens, self.seconds = self.tokens + tokens, self.seconds + time.perf_counter() - self._since
            self._since = None

    def lap(self) -> float:
        """Tokens per second since the last lap."""
        tokens, seconds = self.tokens - self._last[0], self.seconds - self._last[1]
        self._last = self.tokens, self.seconds
        return _rate(tokens, seconds)

    @property
    def rate(self) -> float:
        """Tokens per second of the whole run; NaN where nothing was timed."""
        return _rate(self.tokens, self.seconds)


def _rate(tokens: int, seconds: float) -> float:
    return tokens / seconds if tokens and seconds > 0 else float("nan")


@cache
def peak_flops(dtype: str = "float32") -> float:
    """Floating-point operations per second of a square matrix product on the default device, the best of a few."""
    side = SIDES.get(jax.default_backend(), SIDE)
    square = jnp.ones((side, side), dtype)
    product = jax.jit(jnp.matmul)
    product(square, square).block_until_ready()
    best = float("inf")
    for _ in range(REPEATS):
        begin = time.perf_counter()
        product(square, square).block_until_ready()
        best = min(best, time.perf_counter() - begin)
    return 2.0 * side**3 / best


def peak_of_all(placement: Placement, dtype: str = "float32") -> float:
    """Floating-point operations per second of all devices of a run together."""
    # The devices that a processor poses as share its cores, all of which one product uses already.
    alike = placement.processes if jax.default_backend() == "cpu" else placement.devices
    return peak_flops(dtype) * alike
