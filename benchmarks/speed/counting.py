"""Counting next tokens: `count_neighbours` against polars, scipy and numpy on the same core, in one run.

Every side is a process of its own, held to one core (ours also to two) and to as many threads, that has the tokens in
memory before the clock starts. All sides take turns, round after round, so that they meet the same machine; ratios are
taken round by round. Memory is the largest resident size during the first count less the one before it. What each side
counted is compared integer by integer with numpy's. polars counts in three ways, and the fastest of each round is its
time. About 4 minutes on two idle cores; `--size tiny` half a minute.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import Check, arguments, checks_table, finish, show, write_page

from jaxembed.tables import Table, middle

WORKER = Path(__file__).with_name("_counting_side.py")
ONE, TWO = "jaxembed, 1 core", "jaxembed, 2 cores"
POLARS = ("polars group_by", "polars streaming", "polars sort and rle")
"""Its ways to count; the ratio is against the fastest of each round."""
SIDES = {ONE: 1, TWO: 2, **dict.fromkeys(POLARS, 1), "scipy": 1, "numpy sort": 1, "numpy unique": 1}
"""Cores of each."""


@dataclass(frozen=True)
class Setting:
    """Tokens drawn independently with P(rank r) ~ 1/r, and whether speed and memory are asked for."""

    tokens: int
    vocab: int
    rounds: int
    asked: bool

    def ids(self) -> np.ndarray:
        cumulative = np.cumsum(1 / np.arange(1, self.vocab + 1))
        ids, rng = np.empty(self.tokens, np.uint16), np.random.default_rng(0)
        for at in range(0, self.tokens, 2**20):
            draws = rng.random(min(2**20, self.tokens - at)) * cumulative[-1]
            ids[at : at + len(draws)] = np.searchsorted(cumulative, draws, "right")
        return ids


NORMAL = Setting(50_000_000, 50_000, rounds=5, asked=True)
TINY = Setting(300_000, 5_000, rounds=2, asked=False)


class Side:
    """A process that counts whenever it is asked to."""

    def __init__(self, name: str, cores: list[int], tokens: Path, vocab: int) -> None:
        self.name, self.cores, self.seen = name, len(cores), []
        threads = dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(len(cores)))
        command = [sys.executable, str(WORKER), name, ",".join(map(str, cores)), str(tokens), str(vocab)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env={**os.environ, **threads}, **pipes)
        self.facts = self._answer()

    @property
    def missing(self) -> str:
        return self.facts.get("missing", "")

    def count(self) -> None:
        """Count once more."""
        self.process.stdin.write("count\n")
        self.process.stdin.flush()
        self.seen.append(self._answer())

    def stop(self) -> None:
        """Let the process end."""
        self.process.communicate()

    def _answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name}: the process ended with {self.process.wait()}; its message is above")
        return json.loads(line)

    def seconds(self) -> np.ndarray:
        return np.array([seen["seconds"] for seen in self.seen])


def race(setting: Setting) -> list[Side]:
    """All sides in turn, round after round."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    with tempfile.TemporaryDirectory() as folder:
        tokens = Path(folder) / "ids.bin"
        setting.ids().tofile(tokens)
        sides = [
            Side(name, cores[:count], tokens, setting.vocab) for name, count in SIDES.items() if count <= len(cores)
        ]
        for side in sides:
            if side.missing:
                print(f"{side.name}: left out, {side.missing} is not installed; pip install 'jaxembed[peers,text]'")
        present = [side for side in sides if not side.missing]
        for _ in range(setting.rounds):
            for side in present:
                side.count()
        for side in sides:
            side.stop()
    return present


def checks(sides: dict[str, Side], setting: Setting) -> list[Check]:
    """What was asked of speed, memory and integers."""
    expected = sides["numpy unique"].seen[0]["digest"]
    different = [name for name, side in sides.items() if any(seen["digest"] != expected for seen in side.seen)]
    got = f"different: {', '.join(different)}" if different else f"{len(sides)} sides, every round"
    found = [Check("integers equal to numpy's", "all", got, not different)]
    if not setting.asked:
        return found
    for rival, ways, times in (("polars, its fastest way", POLARS, 2.0), ("scipy", ("scipy",), 2.5)):
        theirs = [sides[way].seconds() for way in ways if way in sides]
        if theirs and ONE in sides:
            ratios = np.min(theirs, axis=0) / sides[ONE].seconds()
            median = float(np.median(ratios))
            found.append(Check(f"one core against {rival}", f">= {times:g}x", middle(ratios) + "x", median >= times))
    if ONE in sides:
        extra = sides[ONE].seen[0]["extra"] / 1e9
        found.append(Check("memory above the tokens", "<= 0.6 GB", f"{extra:.2f} GB", extra <= 0.6))
    if ONE in sides and TWO in sides:
        ratios = sides[ONE].seconds() / sides[TWO].seconds()
        median = float(np.median(ratios))
        found.append(Check("two cores against one", ">= 1.5x", middle(ratios) + "x", median >= 1.5))
    return found


def rows(sides: dict[str, Side], setting: Setting) -> list[list[str]]:
    """One line a side: million tokens a second, memory, how much of its cores it got."""
    table = []
    for name, side in sides.items():
        rates = setting.tokens / 1e6 / side.seconds()
        got = statistics.median(seen["cpu"] / seen["seconds"] for seen in side.seen) / side.cores
        extra, first = side.seen[0]["extra"] / 1e9, side.facts["first"]
        busy = setting.tokens / 1e6 / statistics.median(seen["cpu"] for seen in side.seen)
        facts = [f"{busy:.1f}", f"{extra:.2f}", f"{got:.0%}", f"{first:.1f}", side.facts["version"]]
        table.append([name, middle(rates), *facts])
    return table


HEADER = [
    "side",
    "M tokens/s: median [least .. most]",
    "a processor second",
    "extra GB",
    "of its cores",
    "first call s",
    "version",
]


def save(path: Path, setting: Setting, table: list[list[str]], found: list[Check], load: str) -> None:
    note = (
        "A processor second: million tokens in one, summed over cores; it suffers least from other programs. "
        "Extra GB: largest resident size during the first count less that before it, tokens already in memory. Of "
        "its cores: processor time over wall time and cores; well below 100 % means that others used them. First "
        "call: on 1,000 tokens, left out of the rates; ours compiles there, or reads what was compiled before."
    )
    sizes = f"{setting.tokens:,} Zipf tokens, vocabulary {setting.vocab:,}, {setting.rounds} rounds; {load}."
    tables = [Table(sizes, HEADER, table), checks_table("counting speed", found)]
    write_page(path, ["# Counting next tokens", sizes, *tables, note])


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    setting = NORMAL if args.size == "normal" else TINY
    before = os.getloadavg()[0]
    sides = {side.name: side for side in race(setting)}
    load = f"load of the machine {before:.1f} before and {os.getloadavg()[0]:.1f} after, {os.cpu_count()} cores"
    table, found = rows(sides, setting), checks(sides, setting)
    show(f"{setting.tokens:,} Zipf tokens, vocabulary {setting.vocab:,}; {load}", HEADER, table)
    save(args.out / "counting.md", setting, table, found, load)
    finish("counting speed", found)


if __name__ == "__main__":
    main()
