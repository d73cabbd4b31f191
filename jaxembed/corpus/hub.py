"""Data sets of the Hugging Face hub, streamed; nothing is fetched unless a name is given."""

import logging
from collections.abc import Iterator
from typing import Any

from ..machine import optional, quiet
from .formats import TextRow, fields

PREFIX = "hub:"


def hub_rows(name: str, text_field: str) -> Iterator[TextRow]:
    """The rows of `hub:OWNER/NAME[/CONFIG][:SPLIT]`, fetched as they are read.

    Raises:
        ValueError: for a name of another form, where the data set cannot be reached, and where the stream breaks off.
    """
    data_set, config, split = _parts(name)
    library = optional("datasets", "datasets")
    number = 0
    try:
        with quiet("huggingface_hub", logging.ERROR):  # no line for each retry
            stream = library.load_dataset(data_set, config, split=split, streaming=True)
        for number, row in enumerate(stream, 1):
            yield fields(f"{PREFIX}{data_set}:{split}:row {number}", _plain(row), text_field)
    except Exception as error:  # whatever the network, the hub or the data set's own reader raises
        raise ValueError(_unreachable(name, number, error)) from None


def _parts(name: str) -> tuple[str, str | None, str]:
    path, _, split = name.removeprefix(PREFIX).partition(":")
    parts = path.split("/")
    if not 1 <= len(parts) <= 3 or not all(parts):
        raise ValueError(f"paths: '{name}' is no data set; write hub:OWNER/NAME, /CONFIG and :SPLIT if it needs them")
    return "/".join(parts[:2]), parts[2] if len(parts) == 3 else None, split or "train"


def _plain(row: Any) -> Any:
    return dict(row) if hasattr(row, "keys") else row


def _unreachable(name: str, number: int, error: Exception) -> str:
    message = " ".join(str(error).split())[:200] or type(error).__name__
    where = f"after {number} rows" if number else "not reached"
    return f"{name}: {where} ({type(error).__name__}: {message}); check the name and the network, or give a local file"
