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
from common import main

from jaxembed.base import Progress
from jaxembed.corpus import byte_bpe, documents, encode, python_documentation
from jaxembed.keep import read_arrays, read_json
from jaxembed.studies import Bound, Evidence, Run, Study
from jaxembed.tables import Table

SHARE = 0.9
"""Of an uninterrupted run's time, in which instants are drawn: a life that goes on from a written state is shorter."""


@dataclass(frozen=True)
class KillSetting:
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


@dataclass(frozen=True)
class Killed:
    """All kills, and for every thing that a run leaves, for each run whether it equals an uninterrupted run's."""

    setting: KillSetting
    kills: list[Kill]
    equal: dict[str, np.ndarray]


def run(setting: KillSetting, run: Run) -> Killed:
    """Kill and resume until it was often enough, and compare what every run left with an uninterrupted one."""
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        corpus, began = small_corpus(place), time.perf_counter()
        finished(train(corpus, place / "whole", setting))
        seconds = time.perf_counter() - began
        run.progress(f"uninterrupted: {seconds:.0f} s")
        kills = killed(corpus, place, setting, seconds, run.progress)
        finished(train(corpus, place / f"run{kills[-1].run}", setting, "--resume"))
        wanted = left_by(place / "whole")
        runs = [left_by(place / f"run{number}") for number in sorted({kill.run for kill in kills})]
        equal = {name: np.array([found[name] == whole for found in runs], float) for name, whole in wanted.items()}
        return Killed(setting, kills, equal)


def tables(result: Killed) -> tuple[Table, ...]:
    header = ("kill", "run", "seconds after its start", "last written step before", "after")
    rows = [
        (str(i), str(k.run), f"{k.seconds:.1f}", str(k.before), str(k.after)) for i, k in enumerate(result.kills, 1)
    ]
    return (Table("killed and resumed", header, rows),)


def evidence(result: Killed) -> tuple[Evidence, ...]:
    """Bits, and that of many kills some came before and some after a state was written."""
    bits = Bound("machinery", least=1.0, source="to the last bit")
    rows = [
        Evidence(f"resume-{name.split(',')[0].replace(' ', '-')}", f"{name}: equal to an uninterrupted run's",
                 equal, bits, no_null="bits are equal or not", ceiling="1", varied="runs", every=True)
        for name, equal in result.equal.items()
    ]  # fmt: skip
    advanced = np.mean([kill.after > kill.before for kill in result.kills])
    few = result.setting.kills < 9
    both = Bound("machinery", 0.0, 1.0, "both kinds", strict=not few)
    claim = "kills that came after the run had written a state (share)"
    return (*rows, Evidence("resume-instants", claim, np.array([advanced]), both, no_null="it counts kills"))


def killed(corpus: Path, place: Path, setting: KillSetting, seconds: float, progress: Progress) -> list[Kill]:
    """Start, kill, start again."""
    draws, kills, run = np.random.default_rng(0), [], 1
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
            progress(f"kill {len(kills)}, run {run}, after {instant:.1f} s: step {written(out)}")
    return kills


def small_corpus(place: Path) -> Path:
    """A corpus of this Python's own documentation."""
    text = python_documentation()[:400_000]
    pieces = [text[at : at + 4000] for at in range(0, len(text), 4000)]
    (place / "text.jsonl").write_text("".join(json.dumps({"text": piece}) + "\n" for piece in pieces))
    encode(documents([place / "text.jsonl"]), byte_bpe(pieces[:20], 512), place / "corpus")
    return place / "corpus"


def train(corpus: Path, out: Path, setting: KillSetting, *more: str) -> subprocess.Popen:
    """The run in a process of its own."""
    sizes = ["--width", "32", "--layers", "2", "--heads", "2", "--batch", "8", "--length", "32"]
    saves = [str(step) for step in (0, 1, 10, setting.steps // 2, setting.steps)]
    steps = ["--steps", str(setting.steps), "--warmup", "20", "--remember-every", "20", "--save-steps", *saves]
    command = [sys.executable, "-m", "jaxembed", "pretrain", str(corpus), "--out", str(out), *sizes, *steps, *more]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def finished(process: subprocess.Popen) -> None:
    if process.wait():
        raise SystemExit(f"training failed: {process.args}")


def written(out: Path) -> int:
    """The step that a resumed run would go on from."""
    return max((int(path.name) for path in (out / "recovery").glob("*") if path.name.isdigit()), default=0)


def left_by(out: Path) -> dict[str, object]:
    """What a run left, to compare."""
    losses = {name: array.tobytes() for name, array in read_arrays(out / "curve.npz").items()}
    return {
        "final parameters": (out / "model" / "model.safetensors").read_bytes(),
        "hashes of the saved sets, held-out losses": read_json(out / "manifest.json"),
        "losses of all updates": losses,
    }


STUDY = Study(
    name="resume",
    source="jaxembed",
    settings={"tiny": KillSetting(kills=2, steps=150), "published": KillSetting(kills=20, steps=1000)},
    seeds={"tiny": 1, "published": 1},
    run=run,
    tables=tables,
    evidence=evidence,
    ids=("resume-final-parameters", "resume-hashes-of-the-saved-sets", "resume-losses-of-all-updates",
         "resume-instants"),
    takes={"tiny": "1 min", "published": "5 min idle"},
    smaller={"tiny": "2 kills for 20, 150 steps for 1,000"},
    needs=("text",),
)  # fmt: skip

if __name__ == "__main__":
    main(STUDY)
