"""The committed ledger: its rows, where it lies, and which of them are older than the code that they came from.

Nothing here imports JAX or a study, so that `jaxembed claims` prints at once.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent
CHECKOUT = PACKAGE.parent / "benchmarks" / "results" / "ledger.json"
"""Where the committed ledger lies in a checkout; a wheel carries it as `jaxembed/ledger.json`."""
NOT_RUN = "not run"
SIZE_ORDER = ("tiny", "quick", "published")


@dataclass(frozen=True)
class LedgerRow:
    """One claim, as JSON data: numbers that are undefined are words.

    Attributes:
        id: of the claim.
        claim: in words.
        study: place of its study in the registry, or the name of a user's own.
        source: key of the bibliography.
        published: the published number in words.
        ours: our number with its interval, or why there is none.
        bound: what is asked, its kind and where it comes from, in words.
        kind: of the bound: "paper", "expectation" or "machinery".
        asked: the bound as numbers: least, most, strict, source.
        size: at which the study ran.
        smaller: what was smaller than published; "" at the published size.
        null: the control's number, or why there is none.
        ceiling: the best possible value in words.
        varied: what differs between the values.
        values: `[seed]`.
        interval: that was held against the bound.
        null_values: of the control, in one list.
        null_interval: of its mean.
        verdict: see `studies.verdict`, or "not run".
        takes: how long the study takes at this size on two cores; where it was not run, at its largest.
        seconds: that it took, for all its claims.
        seeds: how many were run.
        date: of the run.
        commit: of the code, with " and changes" where it was edited since.
        device: that it ran on.
        versions: of Python, this library and those below it.
        code: digest of the source that the study imports (see `code_digest`).
    """

    id: str
    claim: str
    study: str
    source: str
    published: str = ""
    ours: str = ""
    bound: str = ""
    kind: str = ""
    asked: dict[str, Any] | None = None
    size: str = ""
    smaller: str = ""
    null: str = ""
    ceiling: str = ""
    varied: str = ""
    values: Sequence[float | str] = ()
    interval: Sequence[float | str] | None = None
    null_values: Sequence[float | str] | None = None
    null_interval: Sequence[float | str] | None = None
    verdict: str = NOT_RUN
    takes: str = ""
    seconds: float = 0.0
    seeds: int = 0
    date: str = ""
    commit: str = ""
    device: str = ""
    versions: dict[str, str] | None = None
    code: str = ""

    def record(self) -> dict[str, Any]:
        """As JSON data, without what is empty."""
        return {name: value for name, value in asdict(self).items() if value}

    @property
    def stale(self) -> bool:
        """Whether the code that it came from has changed since."""
        return (
            self.verdict != NOT_RUN and bool(self.code) and self.code != code_digest(f"jaxembed.studies.{self.study}")
        )


def committed() -> Path:
    """The committed ledger: of the checkout, or as it was installed.

    Raises:
        ValueError: where there is none.
    """
    for path in (CHECKOUT, PACKAGE / "ledger.json"):
        if path.is_file():
            return path
    raise ValueError(f"ledger: there is no {CHECKOUT}; `jaxembed claims --run --write` makes it")


def read_ledger(path: Path) -> list[LedgerRow]:
    """The rows of a ledger.

    Raises:
        ValueError: naming file and row, where it is none.
    """
    names = {field.name for field in fields(LedgerRow)}
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: is not readable JSON ({error}); restore it") from None
    if not isinstance(rows, list):
        raise ValueError(f"{path}: is no list of claims; restore it")
    for k, row in enumerate(rows):
        if not isinstance(row, dict) or not {"id", "claim", "study", "source"} <= set(row) <= names:
            raise ValueError(f"{path}: row {k} is no claim of this version; run `jaxembed claims --run --write`")
    return [LedgerRow(**row) for row in rows]


def merged(old: Sequence[LedgerRow], new: Sequence[LedgerRow], ids: Sequence[str]) -> list[LedgerRow]:
    """One row for each id, in their order: that of the largest size, and of the newer of two at one size."""
    best: dict[str, LedgerRow] = {}
    for row in (*old, *new):
        if row.id not in best or _rank(row) >= _rank(best[row.id]):
            best[row.id] = row
    return [best[name] for name in ids if name in best]


def text_of(row: LedgerRow) -> str:
    """A row as a paragraph: verdict and claim, and below them one thing a line."""
    smaller = f" ({row.smaller})" if row.smaller else ""
    stale = ", stale: the code has changed since" if row.stale else ""
    lines = [f"{row.verdict}{stale}: {row.id}", row.claim, f"published: {row.published or '-'} ({row.source})"]
    lines.append(f"ours: {row.ours}")
    if row.verdict != NOT_RUN:
        lines += [
            f"values: {_values(row.values)}",
            f"asked: {row.bound}",
            f"null: {row.null}",
            f"ceiling: {row.ceiling or '-'}",
        ]
        lines.append(f"size {row.size}{smaller}; {row.seconds:.0f} s, {row.date[:10]}, commit {row.commit or '-'}")
    return "\n    ".join(lines)


def summary_of(rows: Sequence[LedgerRow]) -> str:
    """How many claims came out how."""
    counts = Counter(row.verdict for row in rows)
    told = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    stale = sum(row.stale for row in rows)
    return f"{len(rows)} claims: {told}" + (f"; {stale} of them stale" if stale else "")


@cache
def code_digest(module: str) -> str:
    """A digest of a module of this library and of all that it imports from it, without docstrings and comments.

    A name that a package re-exports counts as that of the file it comes from, so that a row is not stale because
    another file of the package has changed. "" where there is no such module.

    >>> code_digest("jaxembed.text") == code_digest("jaxembed.text") != code_digest("jaxembed.claims")
    True
    """
    if _file(module) is None:
        return ""
    seen = [module]
    for each in seen:
        seen += {where for where in (_origin(*pair[:2]) for pair in _imports(each)) if where and where not in seen}
    sha = hashlib.sha256()
    for each in sorted(set(seen)):
        sha.update(f"{each} {hashlib.sha256(_code(each).encode()).hexdigest()}\n".encode())
    return sha.hexdigest()[:16]


_QUOTES = '"' * 3
_IMPORT = re.compile(r"^[ \t]*from[ \t]+([.\w]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n#(]+)", re.M)


def _values(values: Sequence[float | str], most: int = 10) -> str:
    words = [value if isinstance(value, str) else f"{value:.4g}" for value in values]
    return ", ".join(words) if len(words) <= most else f"{', '.join(words[:most])} and {len(words) - most} more"


def _rank(row: LedgerRow) -> int:
    return -1 if row.verdict == NOT_RUN or row.size not in SIZE_ORDER else SIZE_ORDER.index(row.size)


@cache
def _file(module: str) -> Path | None:
    place = PACKAGE.parent.joinpath(*module.split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


@cache
def _code(module: str) -> str:
    """The source without texts that stand alone on their lines, comment lines and empty lines."""
    file = _file(module)
    text = file.read_text(encoding="utf-8") if file else ""
    first, *parts = text.split(_QUOTES)
    kept = [first]
    for inside, after in zip(parts[::2], parts[1::2], strict=False):
        alone = kept[-1].rpartition("\n")[2].strip() in ("", "r")
        kept.append(after if alone else f"{_QUOTES}{inside}{_QUOTES}{after}")
    lines = (text if len(parts) % 2 else "".join(kept)).splitlines()  # of quotes that do not pair nothing is taken out
    return "\n".join(line for line in lines if line.strip() and not line.lstrip().startswith("#"))


@cache
def _imports(module: str) -> tuple[tuple[str, str, str], ...]:
    """Module, name there and name here of everything that a module imports from this library, lazily or not."""
    file, found = _file(module), []
    package = module.split(".") if file and file.name == "__init__.py" else module.split(".")[:-1]
    for where, names in _IMPORT.findall(_code(module)):
        level = len(where) - len(where.lstrip("."))
        base = package[: len(package) - level + 1] if level else []
        full = ".".join([*base, *filter(None, where.lstrip(".").split("."))])
        if full.split(".")[0] == PACKAGE.name:
            parts = (
                name.split() for name in re.sub(r"#[^\n]*", "", names).strip("() \t").replace("\n", " ").split(",")
            )
            found += [(full, name[0], name[-1]) for name in parts if name]
    return tuple(found)


def _origin(module: str, name: str) -> str:
    """The module that a name comes from, through packages that re-export it; "" where there is none."""
    file = _file(module)
    if file is not None and file.name == "__init__.py":
        for where, there, here in _imports(module):
            if here == name and (where, there) != (module, name):
                return _origin(where, there)
        if _file(f"{module}.{name}"):
            return f"{module}.{name}"
    return module if file else ""
