"""What every solved setting draws: rows of a matrix, and theories of them."""

from collections.abc import Callable

from jaxtyping import Array, Float

DRAWN = 20
"""At most so many tokens are drawn."""

RowTheory = Callable[[Array, dict[str, Array]], Float[Array, "time token width"]]
"""`theory(ts, state0)`: the drawn rows at every time, up to a rotation of the width."""
