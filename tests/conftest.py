"""Strict settings for every test: float64, no silent broadcasting or promotion, shapes checked at run time."""

import atexit
import os
import shutil
import tempfile
from importlib import import_module
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    # Most of the time is compiling. Workers and the commands that tests start inherit one cache, made for this run.
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="jaxembed-compiled-")
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
FLOAT32_LEG = os.environ.get("JAXEMBED_TEST_DTYPE") == "float32"

import jax  # noqa: E402
import pytest  # noqa: E402
from jaxtyping import install_import_hook  # noqa: E402

jax.config.update("jax_enable_x64", not FLOAT32_LEG)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

with install_import_hook("jaxembed", "beartype.beartype"):
    for _room in ("base", "compare", "ensemble", "flow", "losses", "statistics", "train"):
        import_module(f"jaxembed.{_room}")


@pytest.fixture(scope="session")
def tolerance() -> float:
    """The relative error that exact identities may show in the dtype of this leg."""
    return 3e-5 if FLOAT32_LEG else 1e-12


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "float64_only(reason): left out of the float32 leg, for this reason")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        marker = item.get_closest_marker("float64_only")
        if marker and FLOAT32_LEG:
            (reason,) = marker.args
            item.add_marker(pytest.mark.skip(reason=f"float64 only: {reason}"))


MAPS = Path("/proc/self/maps")
"""The memory maps of this process; Linux allows 65,530, and every compiled program has some."""


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Let go of compiled programs before they crash a long run; to compile them again takes time."""
    if (nextitem is None or nextitem.path != item.path) and MAPS.is_file():
        with MAPS.open("rb") as maps:
            many = sum(1 for _ in maps) > 15_000
        if many:
            jax.clear_caches()
