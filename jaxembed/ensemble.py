"""Many runs in one call: over seeds, learning rates and initial scales, by vmap or lax.map, over all devices."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr
from jax.sharding import AxisType, PartitionSpec

Mapping = Literal["auto", "vmap", "loop"]

VMAP_LIMIT = 256 * 1024
"""Bytes of the largest array of one member up to which members run side by side (see `ensemble`)."""


def ensemble(
    run: Callable[..., Any],
    members: Any,
    *shared: Any,
    mapping: Mapping = "auto",
    devices: Sequence[Any] | None = None,
) -> Any:
    """Evaluate `run(member, *shared)` for every member, compiled once, in one call.

    Args:
        run: a pure function of one member (a key, or a tree of key, learning rate, initial scale, ...).
        members: the members' tree, every leaf with a leading `[seed]` axis.
        shared: what all members share (the loss with its data, say): passed on whole.
        mapping: "vmap" runs members side by side, "loop" (lax.map) one after the other; "auto" takes vmap where the
            largest array of one member is below 256 KiB: small arrays leave a core idle, large ones fall out of cache.
        devices: devices to spread the members over; None takes all there are.

    Returns:
        The tree that `run` returns, every leaf with a leading `[seed]` axis.

    Raises:
        ValueError: if leaves of `members` differ in their leading axis, or `mapping` is unknown.

    >>> import jax, jax.numpy as jnp
    >>> ensemble(lambda x, y: x * y, jnp.arange(3), jnp.asarray(2)).tolist()
    [0, 2, 4]
    """
    count = _member_count(members)
    devices = jax.devices() if devices is None else list(devices)
    devices = devices[: min(len(devices), count)]
    if mapping == "auto":
        leaves, tree = jax.tree.flatten(members)
        one = [jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype) for leaf in leaves]
        mapping = choose_mapping(_of_leaves(run, tree), one, *shared)
    rows = np.arange(-(-count // len(devices)) * len(devices)) % count
    padded = members if len(rows) == count else jax.tree.map(lambda x: x[rows], members)
    out = _compiled(run, mapping, tuple(devices), len(shared))(padded, *shared)
    return out if len(rows) == count else jax.tree.map(lambda x: x[:count], out)


def stacked(trees: Sequence[Any]) -> Any:
    """Many trees as one, every leaf with a leading `[seed]` axis, for members that have data of their own.

    A leaf that is longer in some trees ends in zeros in the others: rows of weight 0 in a table of weighted rows.

    >>> stacked([{"weights": jnp.array([0.5, 0.5])}, {"weights": jnp.array([1.0])}])["weights"].tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """

    def stack(*leaves: Any) -> jax.Array:
        longest = np.max([jnp.shape(leaf) for leaf in leaves], axis=0)
        if not len(longest):
            return jnp.stack([jnp.asarray(leaf) for leaf in leaves])
        missing = [[(0, most - n) for n, most in zip(jnp.shape(leaf), longest, strict=True)] for leaf in leaves]
        return jnp.stack([jnp.pad(leaf, width) for leaf, width in zip(leaves, missing, strict=True)])

    return jax.tree.map(stack, *trees)


def choose_mapping(run: Callable[..., Any], member: Any, *shared: Any) -> Mapping:
    """The mapping that "auto" takes for such a member (arrays, or their shapes): by the largest array it computes."""
    largest = _largest(jax.make_jaxpr(run)(member, *shared).jaxpr)
    return "vmap" if largest <= VMAP_LIMIT else "loop"


@lru_cache(maxsize=64)
def _of_leaves(run: Callable[..., Any], tree: Any) -> Callable[..., Any]:
    """`run` of a flat member, for checked dataclasses refuse shapes for arrays; kept, so that JAX traces it once."""
    return lambda leaves, *shared: run(tree.unflatten(leaves), *shared)


@lru_cache(maxsize=64)
def _compiled(run: Callable[..., Any], mapping: Mapping, devices: tuple[Any, ...], shared: int) -> Any:
    """The jitted call; kept, so that a run continued piece by piece is compiled once."""
    mapped = _mapped(run, mapping)
    if len(devices) == 1:
        return jax.jit(mapped)
    mesh = jax.make_mesh((len(devices),), ("seed",), axis_types=(AxisType.Auto,), devices=devices)
    along, whole = PartitionSpec("seed"), PartitionSpec()
    specs = (along, *(whole for _ in range(shared)))
    return jax.jit(jax.shard_map(mapped, mesh=mesh, in_specs=specs, out_specs=along, check_vma=False))


def _mapped(run: Callable[..., Any], mapping: Mapping) -> Callable[..., Any]:
    if mapping == "vmap":
        return lambda members, *shared: jax.vmap(lambda member: run(member, *shared))(members)
    if mapping == "loop":
        return lambda members, *shared: jax.lax.map(lambda member: run(member, *shared), members)
    raise ValueError(f'mapping: must be "auto", "vmap" or "loop", got {mapping!r}')


def _member_count(members: Any) -> int:
    leaves = jax.tree.leaves(members)
    counts = {int(jnp.shape(leaf)[0]) if jnp.ndim(leaf) else 0 for leaf in leaves}
    if len(counts) != 1 or 0 in counts:
        raise ValueError("members: every leaf needs the same leading [seed] axis, at least one long")
    return counts.pop()


def _largest(jaxpr: Jaxpr) -> int:
    """Bytes of the largest array computed on the way, loops and branches included, inputs left out."""
    sizes = [0]
    for equation in jaxpr.eqns:
        inner = [p for value in equation.params.values() for p in _jaxprs(value)]
        if inner:
            sizes += [_largest(p) for p in inner]
        else:
            sizes += [_bytes(var.aval) for var in equation.outvars]
    return max(sizes)


def _jaxprs(value: Any) -> list[Jaxpr]:
    if isinstance(value, ClosedJaxpr):
        return [value.jaxpr]
    if isinstance(value, Jaxpr):
        return [value]
    if isinstance(value, (tuple, list)):
        return [p for item in value for p in _jaxprs(item)]
    return []


def _bytes(aval: Any) -> int:
    return getattr(aval, "size", 0) * getattr(getattr(aval, "dtype", None), "itemsize", 8)
