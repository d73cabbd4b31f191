"""Training a language model: our update against transformers on PyTorch, on the same cores, in one run.

Both sides train a Qwen2.5-shaped decoder of about 10 M parameters from the same start on the same batches of 8 x 256
tokens: float32, forward, backward and AdamW. Each side takes its batch in the number of pieces, and runs on the
devices or the attention, that are quickest for it, tried in the same run; then the two take turns. Where the default
device is a GPU it is Qwen2.5-0.5B in bfloat16 on it instead, with the share of the card's arithmetic that it uses.
About 2 minutes on two idle cores; `--size tiny` 20 seconds, and no speed is asked.
"""

import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import numpy as np

from jaxembed.language import Pretraining, data_mesh, on_host, peak_flops
from jaxembed.language.placement import Placement
from jaxembed.language.pretrain import initial_params
from jaxembed.language.step import advance, start
from jaxembed.machine import cores
from jaxembed.models import Decoder, qwen2
from jaxembed.models.hugging_face import write_model
from jaxembed.tables import middle

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import Check, arguments, checks_table, finish, write_page

ASKED, AIM = 0.9, 1.2
AGREE = 1e-3
"""How far the two sides' losses of one update may lie apart, relatively."""


@dataclass(frozen=True)
class Setting:
    """A model, its batch, the pieces it may be taken in, and how often the two sides take turns."""

    model: Decoder
    vocab: int
    batch: int
    length: int
    pieces: tuple[int, ...]
    rounds: int
    timed: bool = True

    def training(self, pieces: int, compute_dtype: str = "float32") -> Pretraining:
        rule = {"learning_rate": 1e-3, "final_ratio": 1.0, "clip": 0.0, "compute_dtype": compute_dtype}
        return Pretraining(steps=10_000, batch=self.batch, length=self.length, accumulate=pieces, **rule)

    def batches(self) -> Iterator[np.ndarray]:
        """`[example, T + 1]` token ids of Zipf's frequencies, the same ones every time."""
        rng, odds = np.random.default_rng(0), 1.0 / np.arange(1, self.vocab + 1)
        while True:
            yield rng.choice(self.vocab, (self.batch, self.length + 1), p=odds / odds.sum()).astype(np.int32)


NORMAL = Setting(qwen2(256, 6, 4, 2, 1376), vocab=8192, batch=8, length=256, pieces=(1, 4), rounds=8)
TINY = Setting(qwen2(32, 2, 4, 2, 64), vocab=97, batch=4, length=16, pieces=(2,), rounds=3, timed=False)
CARD = Setting(qwen2(), vocab=151_936, batch=16, length=1024, pieces=(2,), rounds=10)


@dataclass
class Side:
    """One way to train, and its clock: `advance` makes an update on a batch and returns the loss before it."""

    name: str
    how: str
    advance: Callable[[np.ndarray], float]
    batches: Iterator[np.ndarray]

    def __post_init__(self) -> None:
        self.losses, self.seconds, self.busy = [self.advance(next(self.batches))], [], []

    def turn(self) -> None:
        """Two updates on the clock."""
        batches = next(self.batches), next(self.batches)
        wall, busy = time.perf_counter(), time.process_time()
        self.losses += [self.advance(batch) for batch in batches]
        self.seconds.append((time.perf_counter() - wall) / 2)
        self.busy.append((time.process_time() - busy) / 2)


class OurDecoder:
    """Our own update, compiled once; its batch is taken in pieces and divided over devices."""

    def __init__(self, setting: Setting, pieces: int, devices: int = 1, compute_dtype: str = "float32") -> None:
        self.settings = setting.training(pieces, compute_dtype)
        self.placement = Placement(data_mesh(devices) if devices > 1 else None)
        self.state = start(
            initial_params(setting.model, setting.vocab, self.settings, self.placement), self.settings.update
        )
        shardings = self.placement.of(self.state)
        self.fixed = {
            "model": setting.model,
            "update": self.settings.update,
            "compute_dtype": compute_dtype,
            "shardings": None if shardings is None else tuple(jax.tree.leaves(shardings)),
        }

    def advance(self, tokens: np.ndarray) -> float:
        """One update on `[example, T + 1]` tokens; returns the loss before it."""
        pieces = self.placement.batch(tokens.reshape(self.settings.accumulate, -1, tokens.shape[1]))
        rate = np.asarray(self.settings.learning_rate, np.float32)
        self.state, loss = advance(self.state, pieces, rate, **self.fixed)
        return float(loss)


def our_side(setting: Setting, pieces: int, devices: int) -> Side:
    side = OurDecoder(setting, pieces, devices)
    return Side("jaxembed", f"{devices} device(s), {pieces} piece(s)", side.advance, setting.batches())


def their_side(setting: Setting, pieces: int, attention: str) -> Side:
    """The same start, through a folder in transformers' own format."""
    from _torch_decoder import TorchDecoder

    ours = OurDecoder(setting, pieces)
    with tempfile.TemporaryDirectory() as folder:
        write_model(folder, setting.model, on_host(ours.state[0]))
        side = TorchDecoder(Path(folder), ours.settings, attention=attention, threads=cores())
    return Side("transformers", f"{attention}, {pieces} piece(s)", side.advance, setting.batches())


def race(setting: Setting) -> tuple[list[str], list[Check]]:
    """The quickest of each side in turns: what was seen, and what was asked."""
    from _torch_decoder import product_flops

    devices = sorted({1, cores()} if setting.timed else {1})
    ours = _quickest(
        [
            our_side(setting, pieces, count)
            for pieces in setting.pieces
            for count in devices
            if setting.batch // pieces % count == 0
        ]
    )
    theirs = _quickest([their_side(setting, pieces, kind) for pieces in setting.pieces for kind in ("sdpa", "eager")])
    loads = [os.getloadavg()[0]]
    for _ in range(setting.rounds):
        ours.turn()
        theirs.turn()
    loads.append(os.getloadavg()[0])
    products = peak_flops() / 1e9, product_flops(cores()) / 1e9
    ratios, busy = np.divide(theirs.seconds, ours.seconds), np.median(theirs.busy) / np.median(ours.busy)
    lines = [_row(side, setting) for side in (ours, theirs)]
    lines.append(
        f"ratio {middle(ratios)} over {setting.rounds} turns; of processor time {busy:.2f}; "
        f"{cores()} core(s) and threads on both sides; load {loads[0]:.1f} to {loads[1]:.1f}"
    )
    lines.append(
        f"matrix products alone (GFLOP/s, float32): JAX {products[0]:.0f}, PyTorch {products[1]:.0f}; "
        f"the ratio follows theirs from machine to machine"
    )
    return lines, [_same_losses(ours, theirs), *_fast_enough(setting, float(np.median(ratios)))]


def _quickest(sides: list[Side]) -> Side:
    """The least of one turn each, after the first update, which compiles."""
    if len(sides) > 1:
        for side in sides:
            side.turn()
        print("; ".join(f"{side.name} {side.how}: {1e3 * side.seconds[0]:.0f} ms" for side in sides), flush=True)
    best = min(sides, key=lambda side: side.seconds[0] if side.seconds else 0.0)
    best.seconds, best.busy = [], []
    return best


def _same_losses(ours: Side, theirs: Side) -> Check:
    """The control: another model, rule or batch would show in the loss, update by update."""
    count = min(len(ours.losses), len(theirs.losses))
    mine, other = np.asarray(ours.losses[:count]), np.asarray(theirs.losses[:count])
    gap, fallen = float(np.max(np.abs(mine / other - 1))), f"{mine[0]:.3f} to {mine[-1]:.3f}"
    same = gap < AGREE and mine[-1] < mine[0]
    return Check(f"same loss at each of {count} updates", f"within {AGREE:g}", f"{gap:.1e}; {fallen}", same)


def _fast_enough(setting: Setting, ratio: float) -> list[Check]:
    if not setting.timed:
        return []
    size = f"{setting.model.parameter_count(setting.vocab) / 1e6:.1f} M parameters, float32"
    asked = f">= {ASKED:g}x transformers (aim {AIM:g}x)"
    return [Check(f"tokens per second, {size}", asked, f"{ratio:.2f}x", ratio >= ASKED)]


def card(setting: Setting) -> tuple[list[str], list[Check]]:
    """Our side alone on a GPU, with its model-FLOP utilisation against a matrix product measured here."""
    ours = OurDecoder(setting, setting.pieces[0], compute_dtype="bfloat16")
    side = Side("jaxembed", "bfloat16", ours.advance, setting.batches())
    for _ in range(setting.rounds):
        side.turn()
    used = setting.model.flops_per_token(setting.vocab, setting.length) * _rate(side, setting)
    peak = peak_flops("bfloat16")
    count = setting.model.parameter_count(setting.vocab) / 1e6
    name = f"{count:.0f} M parameters, bfloat16: share of the card's {peak / 1e12:.0f} TFLOP/s"
    falls = math.isfinite(side.losses[-1]) and side.losses[-1] < side.losses[0]
    return [_row(side, setting)], [Check(name, "stated, with a falling loss", f"{used / peak:.0%}", falls)]


def _rate(side: Side, setting: Setting) -> float:
    return setting.batch * setting.length / float(np.median(side.seconds))


def _row(side: Side, setting: Setting) -> str:
    rates = setting.batch * setting.length / np.asarray(side.seconds)
    return f"{side.name:12} tokens/s {middle(rates, '.0f')}  cpu s/update {np.median(side.busy):.3f}  {side.how}"


def main() -> None:
    args = arguments((__doc__ or "").splitlines()[0])
    jax.config.update("jax_enable_x64", False)
    jax.config.update("jax_num_cpu_devices", cores())
    on_card = jax.default_backend() != "cpu"
    if on_card:
        lines, checks = card(replace(TINY, pieces=(1,)) if args.size == "tiny" else CARD)
        lines.append("against transformers on processors: run with JAX_PLATFORMS=cpu")
    else:
        try:
            import torch
            import transformers
        except ImportError:
            print("skipped: no PyTorch and transformers to compare with; pip install 'jaxembed[peers]'")
            return
        print(f"PyTorch {torch.__version__}, transformers {transformers.__version__}; load {os.getloadavg()[0]:.1f}")
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        lines, checks = race(TINY if args.size == "tiny" else NORMAL)
    print("\n".join(lines))
    if args.size == "normal" and not on_card:
        _write(args.out / "training.md", lines, checks)
    finish("training speed", checks)


def _write(path: Path, lines: list[str], checks: list[Check]) -> None:
    title = f"# Training speed (jax {jax.__version__}, {jax.devices()[0].device_kind})"
    write_page(path, [title, checks_table(title, checks), "\n".join(f"- {line}" for line in lines)])


if __name__ == "__main__":
    main()
