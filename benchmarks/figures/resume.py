"""Killed at random instants and resumed each time, a run ends in the same bits as one that was left alone.

`python benchmarks/figures/resume.py` trains a small decoder by `jaxembed pretrain` in a process of its own and kills
it (SIGKILL) 20 times, at instants drawn over its whole life: start, compiler, training, writing. Each time the same
command with `--resume` goes on; a run that reaches its end is followed by another. Final parameters, every saved set
and all losses are compared with an uninterrupted run; it exits non-zero where a bit differs. About 5 minutes on two
idle cores, `--size tiny` (2 kills) one.
"""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from _drawing import markdown
from common import arguments, finish, show

from jaxembed.corpus import byte_bpe, documents, encode, python_documentation
from jaxembed.studies.check import Check

SEED = 0
SHARE = 0.9
"""Of an uninterrupted run's time, in which instants are drawn: a life that goes on from a written state is shorter."""
HEADER = ("kill", "run", "seconds after its start", "last written step before", "after")


@dataclass(frozen=True)
class Setting:
    """How often a run of how many steps is killed."""

    kills: int
    steps: int


@dataclass(frozen=True)
class Kill:
    """One kill: in which run, when, and from which step the run would go on before and after this life."""

    run: int
    seconds: float
    before: int
    after: int


SETTINGS = {"tiny": Setting(kills=2, steps=150), "normal": Setting(kills=20, steps=1000)}


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    setting = SETTINGS[args.size]
    with tempfile.TemporaryDirectory() as place:
        kills, checks = measured(setting, Path(place))
    rows = [[str(i + 1), str(k.run), f"{k.seconds:.1f}", str(k.before), str(k.after)] for i, k in enumerate(kills)]
    show("killed and resumed", HEADER, rows)
    markdown(args.out / "resume.md", HEADER, rows)
    finish("resume", checks)


def measured(setting: Setting, place: Path) -> tuple[list[Kill], list[Check]]:
    """Kill and resume until it was often enough, and compare what every run left with an uninterrupted one."""
    corpus = small_corpus(place)
    began = time.perf_counter()
    finished(train(corpus, place / "whole", setting))
    seconds = time.perf_counter() - began
    print(f"uninterrupted: {seconds:.0f} s", flush=True)
    kills = killed(corpus, place, setting, seconds)
    finished(train(corpus, place / f"run{kills[-1].run}", setting, "--resume"))
    wanted = left_by(place / "whole")
    runs = {run: left_by(place / f"run{run}") for run in sorted({kill.run for kill in kills})}
    checks = []
    for name in wanted:
        differ = [f"run {run}" for run, found in runs.items() if found[name] != wanted[name]]
        got = f"{', '.join(differ)} differ" if differ else f"{len(runs)} runs, {len(kills)} kills: equal"
        checks.append(Check(name, f"equal to the last bit after {setting.kills} kills", got, not differ))
    advanced = sum(kill.after > kill.before for kill in kills)
    asked = "both kinds, before and after a state was written"
    both = 0 < advanced < len(kills)
    checks.append(Check("instants", asked, f"{len(kills) - advanced} and {advanced}", both or setting.kills < 9))
    return kills, checks


def killed(corpus: Path, place: Path, setting: Setting, seconds: float) -> list[Kill]:
    """Start, kill, start again."""
    draws, kills, run = np.random.default_rng(SEED), [], 1
    while len(kills) < setting.kills:
        out = place / f"run{run}"
        before, instant = written(out), draws.uniform(0, SHARE * seconds)
        process = train(corpus, out, setting, "--resume")
        try:
            process.wait(timeout=instant)
            finished(process)
            run, seconds = run + 1, SHARE * seconds  # the machine may have become faster
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills.append(Kill(run, instant, before, written(out)))
            print(f"kill {len(kills)}, run {run}, after {instant:.1f} s: step {written(out)}", flush=True)
    return kills


def small_corpus(place: Path) -> Path:
    """A corpus of this Python's own documentation."""
    text = python_documentation()[:400_000]
    pieces = [text[at : at + 4000] for at in range(0, len(text), 4000)]
    (place / "text.jsonl").write_text("".join(json.dumps({"text": piece}) + "\n" for piece in pieces))
    encode(documents([place / "text.jsonl"]), byte_bpe(pieces[:20], 512), place / "corpus")
    return place / "corpus"


def train(corpus: Path, out: Path, setting: Setting, *more: str) -> subprocess.Popen:
    """The run in a process of its own."""
    sizes = ["--width", "32", "--layers", "2", "--heads", "2", "--batch", "8", "--length", "32"]
    saves = [str(step) for step in (0, 1, 10, setting.steps // 2, setting.steps)]
    steps = ["--steps", str(setting.steps), "--warmup", "20", "--remember-every", "20", "--save-steps", *saves]
    command = [sys.executable, "-m", "jaxembed", "pretrain", str(corpus), "--out", str(out), *sizes, *steps, *more]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def finished(process: subprocess.Popen) -> None:
    if process.wait():
        raise SystemExit(f"training failed: {' '.join(map(str, process.args))}")


def written(out: Path) -> int:
    """The step that a resumed run would go on from."""
    return max((int(path.name) for path in (out / "recovery").glob("*") if path.name.isdigit()), default=0)


def left_by(out: Path) -> dict[str, object]:
    """What a run left, to compare."""
    with np.load(out / "curve.npz") as curve:
        losses = {name: curve[name].tobytes() for name in curve}
    return {
        "final parameters": (out / "model" / "model.safetensors").read_bytes(),
        "hashes of the saved sets, held-out losses": json.loads((out / "manifest.json").read_text()),
        "losses of all updates": losses,
    }


if __name__ == "__main__":
    main()
