"""Values as JSON data, digests that tell data apart, and what differs between two of them."""

import functools
import hashlib
import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

UNDEFINED = "undefined"
"""How an undefined number is written, in files and in tables."""
_WORDS = {UNDEFINED: math.nan, "infinite": math.inf, "-infinite": -math.inf}


def to_json(value: Any) -> Any:
    """JSON data: arrays as lists, undefined and infinite numbers as words, anything unknown as text.

    >>> to_json({"loss": np.array([0.5, np.nan])})
    {'loss': [0.5, 'undefined']}
    """
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic, jax.Array)):
        return to_json(np.asarray(value).tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return UNDEFINED if math.isnan(value) else "infinite" if value > 0 else "-infinite"
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)


def from_json(value: Any) -> Any:
    """Back from `to_json`: the words for undefined and infinite numbers are numbers again."""
    if isinstance(value, dict):
        return {key: from_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [from_json(item) for item in value]
    return _WORDS.get(value, value) if isinstance(value, str) else value


def plain(settings: Any) -> Any:
    """Settings as JSON data that tell them from others.

    Dataclasses come with module and name of their class, arrays as their digest, functions as module, name and a
    digest of what they compute and hold.

    >>> plain(np.arange(3.0))
    'float64 (3,) 53274b1d8c075b84'
    """
    if is_dataclass(settings) and not isinstance(settings, type):
        return {"kind": _class(settings)} | {f.name: plain(getattr(settings, f.name)) for f in fields(settings)}
    if isinstance(settings, Mapping):
        return {str(key): plain(item) for key, item in settings.items()}
    if isinstance(settings, (tuple, list)):
        return [plain(item) for item in settings]
    if isinstance(settings, (np.ndarray, jax.Array)):
        return f"{settings.dtype} {settings.shape} {digest(settings)[:16]}"
    if isinstance(settings, functools.partial):
        return {"partial": [plain(settings.func), plain(settings.args), plain(settings.keywords)]}
    if type(settings).__repr__ is object.__repr__ and not callable(settings):  # its text would be an address
        return plain({"kind": _class(settings), **vars(settings)})
    if isinstance(settings, type) or not callable(settings):
        return to_json(settings)
    function = inspect.unwrap(settings)
    name = f"{function.__module__}:{getattr(function, '__qualname__', type(function).__qualname__)}"
    return f"{name} {digest(*_parts(function))[:16]}" if inspect.isfunction(function) else name


def _class(value: Any) -> str:
    return f"{type(value).__module__}:{type(value).__qualname__}"


def _parts(function: Any) -> Iterator[str | bytes]:
    """Texts that change with what a function computes: its code, constants, defaults and what it closes over."""
    codes = [function.__code__]
    for code in codes:
        yield code.co_code
        codes += [part for part in code.co_consts if inspect.iscode(part)]
        yield repr([part for part in code.co_consts if not inspect.iscode(part) and not isinstance(part, frozenset)])
    held = [*(function.__defaults__ or ()), *inspect.getclosurevars(function).nonlocals.values()]
    yield repr([part.__name__ if inspect.isfunction(part) else plain(part) for part in held])


def digest(*parts: Any) -> str:
    """SHA-256 of arrays and texts, with shapes and types, to tell data apart."""
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, (str, bytes)):
            sha.update(part.encode(errors="surrogatepass") if isinstance(part, str) else part)
        else:
            array = np.asarray(part)
            sha.update(f"{array.shape} {array.dtype}".encode() + np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


def made_by() -> dict[str, str]:
    """What decides the last bits of a number besides its settings."""
    return {"jax": jax.__version__, "device": jax.devices()[0].device_kind, "float": str(jnp.result_type(float))}


def check_same(where: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with what was made otherwise.

    Raises:
        ValueError: naming the first difference.
    """
    if change := difference(before, now):
        name, was, value = change
        raise ValueError(f"{where} was made with another {name} ({was}, now {value}); name a new one")


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """The first thing that differs in two identities, with what it was and is.

    >>> difference({"model": {"width": 4}}, {"model": {"width": 8}})
    ('model.width', 4, 8)
    """
    return next(((name, was, here) for name, (was, here) in changes(before, now).items()), None)


def check_made_alike(where: str, before: Any, now: Mapping[str, Any], same: Sequence[str], may: Sequence[str]) -> str:
    """Refuse to go on with what another machine or version made; what may change last bits alone is a line.

    Args:
        where: what was made.
        before: how it was made; what it does not name is not compared.
        now: how it would go on.
        same: names that must not differ.
        may: names that may.

    Raises:
        ValueError: naming the first of `same` that differs.
    """
    changed = {name: values for name, values in changes(before or {}, now).items() if values[0] is not None}
    for name in same:
        if name in changed:
            short, (was, here) = name.split(".")[-1], changed[name]
            raise ValueError(
                f"{short}: {was} made the run in {where} and this is {here}, which may round otherwise; resume with "
                f"{short} {was}, or overwrite"
            )
    told = [f"{name} ({was}, now {here})" for name, (was, here) in changed.items() if name.startswith(tuple(may))]
    return f"{where} was begun with another {', '.join(told)}; last bits may differ" if told else ""


def changes(before: Any, now: Any) -> dict[str, tuple[Any, Any]]:
    """All that differs in two records, by name; what one of them does not have is None.

    >>> changes({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}})
    {'a.b': (1, 3), 'c': (2, None)}
    """
    old, new = _flat(before), _flat(now)
    return {name: (old.get(name), new.get(name)) for name in old | new if old.get(name) != new.get(name)}


def _flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(tree, Mapping):
        return {prefix: tree}
    return {name: leaf for key in tree for name, leaf in _flat(tree[key], f"{prefix}.{key}".strip(".")).items()}
