"""What the scripts that run word models beside gensim share: the text, the sides' processes, their scores."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import KEEP

from jaxembed.base import Progress
from jaxembed.keep import digest, read_json, write_json, write_text
from jaxembed.studies.data import data_path, questions_file
from jaxembed.studies.words.word_texts import Domains, builtin_domains, pile_domains
from jaxembed.words import (
    AnalogyReport,
    SimilarityScore,
    WordVectors,
    read_questions,
    read_similarity,
    read_vectors,
    score_analogies,
    score_similarity,
)

WORKER = Path(__file__).parent / "speed" / "_word_vectors_side.py"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
GENSIM_PYTHON = {"help": "the Python that has gensim; this one unless given"}
OPTIONS: dict[str, dict[str, Any]] = {"keep": KEEP, "gensim_python": {**GENSIM_PYTHON, "default": sys.executable}}
"""What both scripts take beside size and folder."""


@dataclass(frozen=True)
class Side:
    """A process that makes word vectors.

    Attributes:
        name: for tables.
        kind: of the worker: gensim, counts or skip_gram.
        options: its settings.
    """

    name: str
    kind: str
    options: dict[str, Any]


@dataclass(frozen=True)
class Made:
    """What a side made.

    Attributes:
        side: which.
        facts: seconds, processor seconds, cores, versions.
        vectors: the result.
    """

    side: Side
    facts: dict[str, Any]
    vectors: WordVectors


def corpus(pile: bool, folder: Path, progress: Progress) -> Path:
    """A file with a document a line: twelve domains of The Pile, or the built-in documentation."""
    path = folder / f"corpus_{'pile' if pile else 'tiny'}.txt"
    if not path.exists():
        domains = pile_domains(folder, progress) if pile else builtin_domains()
        write_text(path, "\n".join(_lines(domains)) + "\n")
    return path


def _lines(domains: Domains) -> list[str]:
    words, begin, lines = domains.text.words, 0, []
    for end in domains.text.ends.tolist():
        if end > begin:
            lines.append(" ".join(words[i] for i in domains.text.ids[begin:end].tolist()))
        begin = end
    return lines


def cores(count: int) -> list[int]:
    """The cores that every side is held to."""
    there = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    return there[:count]


def make(side: Side, text: Path, folder: Path, gensim_python: str, count: int = 2) -> Made | None:
    """Run a side, or read what it made before; None where its library is missing.

    The time of a side that was kept is that of its own run: timings to be compared need an empty folder.
    """
    asked = {"side": side.kind, "cores": cores(count), "corpus": str(text), "options": side.options}
    name = digest(json.dumps(asked | {"size": text.stat().st_size}, sort_keys=True))[:16]
    facts, vectors = folder / f"{side.kind}_{name}.json", folder / f"{side.kind}_{name}.bin"
    if not facts.exists():
        python = gensim_python if side.kind == "gensim" else sys.executable
        threads = dict.fromkeys(THREADS, str(len(asked["cores"])))
        command = [python, str(WORKER), json.dumps(asked | {"out": str(vectors)})]
        done = subprocess.run(command, env={**os.environ, **threads}, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise SystemExit(f"{side.name}: the process ended with {done.returncode}; its message is above")
        answer = json.loads(done.stdout.splitlines()[-1])
        if "missing" in answer:
            print(f"{side.name}: left out, {answer['missing']} is not installed; pip install 'jaxembed[peers]'")
            return None
        write_json(facts, answer)
    return Made(side, read_json(facts), read_vectors(vectors))


def analogies(vectors: WordVectors, top: int = 30_000) -> AnalogyReport:
    """Google's questions among the `top` most frequent words."""
    return score_analogies(vectors, read_questions(questions_file()), top=top)


def similarity(vectors: WordVectors, name: str = "EN-MEN-TR-3k.txt") -> SimilarityScore:
    """MEN, or another file of similarities."""
    return score_similarity(vectors, read_similarity(data_path("similarity", name)))
