"""JSON that others wrote: read in one place, and every value checked against what it must be.

What does not fit is one line that names the file, the key, what is expected and what is there.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHOWN = 40
"""Characters of a wrong value that an error shows."""


@dataclass(frozen=True)
class Kind:
    """What a value must be.

    Attributes:
        what: in words, as an error says it.
        fits: whether a value is that.
    """

    what: str
    fits: Callable[[Any], bool]


def integer(low: int, high: int) -> Kind:
    """A whole number from `low` to `high`; true and 3.0 are none."""
    return Kind(f"an integer from {low:,} to {high:,}", lambda value: type(value) is int and low <= value <= high)


def real(low: float, high: float) -> Kind:
    """A finite number from `low` to `high`."""
    return Kind(
        f"a number from {low:g} to {high:g}", lambda value: type(value) in (int, float) and low <= value <= high
    )


def optional_of(kind: Kind) -> Kind:
    """A kind, or null."""
    return Kind(f"{kind.what} or null", lambda value: value is None or kind.fits(value))


def list_of(kind: Kind) -> Kind:
    """A list whose items are all of one kind."""
    return Kind(f"a list, each {kind.what}", lambda value: type(value) is list and all(map(kind.fits, value)))


def object_of(kind: Kind) -> Kind:
    """An object whose values are all of one kind."""
    return Kind(
        f"an object, each value {kind.what}", lambda value: type(value) is dict and all(map(kind.fits, value.values()))
    )


FLAG = Kind("true or false", lambda value: type(value) is bool)
TEXT = Kind("a text", lambda value: type(value) is str)
OBJECT = Kind("an object", lambda value: type(value) is dict)


def read_object(path: Path, advice: str = "restore it") -> dict[str, Any]:
    """The JSON object of a file; a byte-order mark at its start is dropped.

    Args:
        path: of the file.
        advice: what to do about a file that cannot be read.

    Raises:
        ValueError: naming the file where it is missing, no JSON, nested too deeply, or no object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file; {advice}") from None
    except RecursionError:
        raise ValueError(f"{path}: not valid JSON (nested too deeply); {advice}") from None
    except ValueError as error:  # neither UTF-8 nor JSON, or an integer of thousands of digits
        raise ValueError(f"{path}: not valid JSON ({error}); {advice}") from None
    if type(content) is not dict:
        raise ValueError(f"{path}: must hold a JSON object, got {_shown(content)}; {advice}")
    return content


def check_record(
    record: Mapping[str, Any], kinds: Mapping[str, Kind], place: str, *, needed: tuple[str, ...] = (), advice: str = ""
) -> None:
    """Check the values of a record; keys that `kinds` does not name may hold anything.

    Args:
        record: the object read.
        kinds: what the value under each key must be.
        place: what errors call the record.
        needed: keys that must be there.
        advice: what to do about a record that does not fit.

    Raises:
        ValueError: naming the first key that is absent or does not fit.

    >>> check_record({"layers": "12"}, {"layers": integer(1, 99)}, "config.json")
    Traceback (most recent call last):
    ValueError: config.json: layers must be an integer from 1 to 99, got '12'
    """
    after = f"; {advice}" if advice else ""
    for name in needed:
        if name not in record:
            raise ValueError(f"{place}: has no {name}{after}")
    for name, kind in kinds.items():
        if name in record and not kind.fits(record[name]):
            raise ValueError(f"{place}: {name} must be {kind.what}, got {_shown(record[name])}{after}")


def _shown(value: Any) -> str:
    """A JSON value in few characters; of what holds others, only what it is."""
    if type(value) in (dict, list):
        return "an object" if type(value) is dict else "a list"
    text = repr(value) if type(value) is str else json.dumps(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 2]}.."
