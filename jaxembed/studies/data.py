"""Where the studies find real texts and evaluation files: the folder that JAXEMBED_DATA names."""

import os
from collections.abc import Sequence
from pathlib import Path

VARIABLE = "JAXEMBED_DATA"

DOMAINS = (
    "enron_emails",
    "europarl",
    "hackernews",
    "nih_exporter",
    "openwebtext2",
    "philpapers",
    "pile_cc",
    "pubmed_abstracts",
    "stackexchange",
    "ubuntu_irc",
    "uspto_backgrounds",
    "wikipedia_en",
)
"""The domains of The Pile that are mostly sentences: neither github nor dm_mathematics."""


def data_path(*parts: str) -> Path:
    """A file or folder of the data folder.

    Args:
        parts: its place below the folder, such as `"similarity", "men.txt"`.

    Raises:
        ValueError: where JAXEMBED_DATA is not set, or what it names does not hold it.
    """
    place = Path(*parts)
    folder = os.environ.get(VARIABLE)
    if not folder:
        raise ValueError(f"{VARIABLE}: not set; name the folder that holds {place}, or use size tiny")
    path = Path(folder).expanduser() / place
    if not path.exists():
        raise ValueError(f"{VARIABLE}: there is no {path}; name another folder, or use size tiny")
    return path


def pile_files(domains: Sequence[str] = DOMAINS) -> list[Path]:
    """The file of each domain of The Pile; errors as of `data_path`."""
    return [data_path("pile", f"{domain}.jsonl.gz") for domain in domains]


def questions_file() -> Path:
    """Google's analogy questions; errors as of `data_path`."""
    return data_path("analogies", "questions-words.txt")
