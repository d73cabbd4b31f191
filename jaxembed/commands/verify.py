"""`jaxembed verify`: run a result again from its own record, or take another, and say whether the bits are the same."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tyro

from .printing import command, say

REPEATED = ("run", "pretrain", "words")
"""Commands whose record suffices to run them again."""
ALONE, VALUED = ("--resume", "--overwrite", "--animate"), ("--out",)
"""Flags about the folder, without and with a value: they are not repeated."""


@dataclass(frozen=True)
class VerifyFlags:
    """Run a finished result again from its own record, in a temporary folder, and compare; or compare two results.

    It says equal (bit for bit), close (rounding explains it, and something that it was made with has changed) or
    different. The exit code is 0 for equal and close, 1 for different, 2 where it cannot be said.
    """

    result: tyro.conf.Positional[Path]
    """Folder of a finished run or pretraining, or a file of word vectors."""
    other: tyro.conf.Positional[Path | None] = None
    """Another one to compare with: nothing is run then."""


@command(VerifyFlags)
def run(flags: VerifyFlags, console: Any) -> None:
    from ..runs.verify import record_of, verdict

    if flags.other is not None:
        found = verdict(flags.result, flags.other)
    else:
        record = record_of(flags.result)
        words = repeated(record, flags.result)
        say(console, f"running again, in {record.get('folder')}: jaxembed {' '.join(words)}")
        with TemporaryDirectory(prefix="jaxembed-verify-") as folder:
            out = Path(folder) / flags.result.resolve().name
            _run(words, record, out)
            found = verdict(flags.result, out)
    say(console, str(found))
    if found.verdict == "different":
        raise SystemExit(1)


def repeated(record: Mapping[str, Any], place: Path) -> list[str]:
    """The words that make a result again, without its folder.

    Raises:
        ValueError: where a program of one's own made it.

    >>> repeated({"command": ["jaxembed", "run", "addition", "--out", "a", "--resume", "--seeds", "2"]}, Path("a"))
    ['run', 'addition', '--seeds', '2']
    """
    command = record.get("command")
    program, *words = command if isinstance(command, list) and command else [""]
    if Path(str(program)).name != "jaxembed" or not words or words[0] not in REPEATED:
        raise ValueError(
            f"{place}: was made by {' '.join(map(str, command or ['no command']))}, which verify does not start; "
            "make it again in another place, and give both"
        )
    valued = [i for i, word in enumerate(words) if word in VALUED]
    left_out = {*valued, *(i + 1 for i in valued)}
    left_out |= {i for i, word in enumerate(words) if word in ALONE or word.startswith(tuple(f"{v}=" for v in VALUED))}
    return [str(word) for i, word in enumerate(words) if i not in left_out]


def _run(words: list[str], record: Mapping[str, Any], out: Path) -> None:
    folder, package = Path(str(record.get("folder"))), Path(__file__).parents[2]
    if not folder.is_dir():
        raise ValueError(
            f"verify: the folder {folder}, in which the result was made, is gone; make it again, give both"
        )
    paths = os.pathsep.join([str(package), *filter(None, [os.environ.get("PYTHONPATH")])])
    call = [sys.executable, "-m", "jaxembed", *words, "--out", str(out)]
    again = subprocess.run(
        call, cwd=folder, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, errors="replace"
    )
    if again.returncode:
        last = again.stderr.strip().split("\n")[-1].removeprefix("jaxembed: ")
        raise ValueError(f"verify: the command ended with exit code {again.returncode}: {last}")
