"""Where parameters and batches lie: one device, copies on many, or shares on many; on one host or several."""

from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding
from jaxtyping import Array, Int

AXIS = "data"
"""The mesh axis that batches are divided over, and parameters too where they are shared out."""


def data_mesh(devices: int | None = None) -> Mesh:
    """A mesh of one axis over the first `devices` devices of all hosts; None takes all.

    Raises:
        ValueError: for more devices than there are.
    """
    there = jax.device_count()
    if devices is not None and not 1 <= devices <= there:
        raise ValueError(f"devices: {devices} asked for and JAX sees {there}; ask for 1 to {there}")
    return jax.make_mesh((devices or there,), (AXIS,), axis_types=(AxisType.Auto,))


@dataclass(frozen=True)
class Placement:
    """How a run lies on its devices.

    Attributes:
        mesh: one axis of devices; None is the default device alone.
        shard: "data" keeps the parameters whole on every device, "full" gives each device its share of every array that
            has an axis they divide; batches are divided either way.
    """

    mesh: Mesh | None = None
    shard: Literal["data", "full"] = "data"

    @property
    def devices(self) -> int:
        return 1 if self.mesh is None else self.mesh.size

    @property
    def processes(self) -> int:
        """Those that the devices belong to."""
        return 1 if self.mesh is None else len({device.process_index for device in self.mesh.devices.flat})

    def of(self, tree: Any) -> Any:
        """The sharding of every array of a tree of arrays or shapes; None for the default device."""
        return None if self.mesh is None else jax.tree.map(lambda leaf: self._sharding(leaf.shape), tree)

    def like(self, shapes: Any) -> Any:
        """The shapes, with the shardings that arrays of them have."""

        def one(leaf: Any) -> jax.ShapeDtypeStruct:
            here = SingleDeviceSharding(jax.local_devices()[0]) if self.mesh is None else self._sharding(leaf.shape)
            return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here)

        return jax.tree.map(one, shapes)

    def put(self, tree: Any) -> Any:
        """The arrays, placed; the given ones stay as they are."""
        # A copy, since the training step gives its buffers away.
        copies = jax.tree.map(lambda leaf: np.array(leaf), tree)
        return jax.device_put(copies, self.of(copies))

    def check(self, sequences: int) -> None:
        """Refuse batches that the devices cannot divide evenly."""
        if sequences % self.devices:
            raise ValueError(
                f"batch: {sequences} sequences at once cannot be divided over {self.devices} devices; "
                f"make batch / accumulate a multiple of {self.devices}"
            )

    def rows(self, sequences: int) -> slice:
        """Which of that many sequences this host feeds."""
        share = sequences // jax.process_count() if self.mesh is not None else sequences
        first = share * jax.process_index() if self.mesh is not None else 0
        return slice(first, first + share)

    def batch(self, tokens: Int[np.ndarray, "... example position"]) -> Int[Array, "... example position"]:
        """The batch of all hosts, from the rows that this host feeds."""
        if self.mesh is None:
            return jax.device_put(tokens)
        axes = [None] * (tokens.ndim - 2)
        return jax.make_array_from_process_local_data(
            NamedSharding(self.mesh, PartitionSpec(*axes, AXIS, None)), tokens
        )

    def _sharding(self, shape: tuple[int, ...]) -> NamedSharding:
        assert self.mesh is not None
        axes: list[str | None] = [None] * len(shape)
        divisible = [i for i, size in enumerate(shape) if size % self.mesh.size == 0 and size >= self.mesh.size]
        if self.shard == "full" and divisible:
            axes[max(divisible, key=lambda i: shape[i])] = AXIS
        return NamedSharding(self.mesh, PartitionSpec(*axes))
