"""The text that is on every machine: the documentation that ships with Python."""

import ast
import importlib
import os
import sysconfig
import warnings
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

# Other people's packages, tests, programs that are no library, and the tables of `encodings` whose docstrings repeat.
OTHERS = ("site-packages", "dist-packages", "test", "tests", "idlelib", "turtledemo", "lib2to3", "ensurepip")
LEFT_OUT = frozenset({*OTHERS, "encodings", "pydoc_data", "__pycache__"})
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@lru_cache(maxsize=1)
def python_documentation() -> str:
    """Help topics and standard-library docstrings of the running interpreter, about 350,000 words of English.

    Source files are parsed, never imported or run, in sorted order: one Python installation always gives the same text,
    another Python version another text. Takes a few seconds, once per process.

    Raises:
        ValueError: where this Python ships neither help topics nor the source of its standard library.

    >>> from jaxembed.corpus import python_documentation
    >>> "iterator" in python_documentation()
    True
    """
    text = "\n\n".join([*_help_topics(), *_docstrings(Path(sysconfig.get_path("stdlib")))])
    if not text.strip():
        raise ValueError("text: this Python ships no documentation to read; give a UTF-8 text file instead")
    return text


def _help_topics() -> list[str]:
    try:
        topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    except ImportError:  # minimal installations leave it out
        return []
    return [topics[name] for name in sorted(topics)]


def _docstrings(root: Path) -> Iterator[str]:
    """Docstrings of every source file under `root`, file by file in sorted order."""
    for path in sorted(_source_files(root), key=lambda path: path.relative_to(root).parts):
        try:
            yield from _docstrings_of(path.read_bytes())
        except (OSError, SyntaxError, ValueError):  # a few shipped files are broken on purpose
            continue


def _source_files(root: Path) -> Iterator[Path]:
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = [name for name in subfolders if name not in LEFT_OUT and not name.startswith("config-")]
        yield from (Path(folder, name) for name in files if name.endswith(".py"))


def _docstrings_of(source: bytes) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in somebody else's source
        tree = ast.parse(source)
    return [text for node in _documented(tree) if (text := ast.get_docstring(node))]


def _documented(node: ast.AST) -> Iterator[Documented]:
    """The module, classes and functions in source order; expressions, most of a tree, hold none and are not entered."""
    if isinstance(node, Documented):
        yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield from _documented(child)
