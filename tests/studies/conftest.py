"""What the tests of studies share."""

from collections.abc import Callable

import pytest

from jaxembed.studies.evidence import Evidence


@pytest.fixture
def tends() -> Callable[[Evidence], bool]:
    """Whether a tiny result goes the way of its claim: the two seeds of most have no interval that could be asked.

    The machinery has to hold. Of other claims the mean has to lie inside the bound, and that of the null outside.
    """

    def of(row: Evidence) -> bool:
        if row.bound.kind == "machinery":
            return row.holds()
        return not row.undefined and row.bound.holds(row.mean) and not row.null_passes

    return of
