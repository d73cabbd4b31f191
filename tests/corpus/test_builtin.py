import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxembed.corpus import builtin, python_documentation, words

NESTED = """
def f():
    'In f.'
try:
    class A:
        'In A.'
        async def g(self):
            'In g.'
except ImportError:
    def h():
        'In h.'
"""


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A made-up standard library with everything that must be read, left out or survived."""
    files = {
        "zebra.py": '"""Last module."""\n',
        "alpha.py": '"""First module."""\nraise RuntimeError("imported")\n',
        "nested.py": NESTED,
        "plain.py": "x = 'no docstring'\n'nor this'\n",
        "escape.py": '"""Invalid \\d escape."""\n',
        "broken.py": "'''Never closed",
        "latin.py": b"# -*- coding: latin-1 -*-\n'''Caf\xe9.'''\n",
        "package/inner.py": '"""In package."""\n',
        "notes.txt": '"""Not python."""\n',
        "encodings/a.py": '"""Left out."""\n',
        "package/test/a.py": '"""Left out."""\n',
        "site-packages/a.py": '"""Left out."""\n',
        "config-3.11-linux/a.py": '"""Left out."""\n',
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return tmp_path


@pytest.fixture
def fresh():
    """No cached documentation before and after a test that changes where it comes from."""
    python_documentation.cache_clear()
    yield
    python_documentation.cache_clear()


def test_docstrings_are_parsed_in_sorted_order_and_nothing_is_run(library):
    expected = ["First module.", "Invalid \\d escape.", "Café."]
    expected += ["In f.", "In A.", "In g.", "In h.", "In package.", "Last module."]
    assert list(builtin._docstrings(library)) == expected


def test_it_reads_topics_and_docstrings_of_this_interpreter():
    text = python_documentation()
    assert "Assignment statements" in text  # a help topic
    assert "Text wrapping and filling." in text  # the docstring of textwrap
    assert 150_000 < len(words(text)) < 1_000_000


def test_another_process_reads_the_same_text():
    code = "import sys; from jaxembed.corpus import python_documentation as read; "
    code += "sys.stdout.buffer.write(read().encode(errors='surrogatepass'))"
    env = {**os.environ, "PYTHONHASHSEED": "1"}
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=env).stdout
    assert other == python_documentation().encode(errors="surrogatepass")


def test_without_help_topics_the_docstrings_remain(monkeypatch, fresh, library):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    monkeypatch.setattr(builtin.sysconfig, "get_path", lambda name: str(library))
    assert python_documentation().startswith("First module.")


def test_without_sources_the_help_topics_remain(monkeypatch, fresh, tmp_path):
    monkeypatch.setattr(builtin.sysconfig, "get_path", lambda name: str(tmp_path / "missing"))
    assert "Assignment statements" in python_documentation()


def test_a_python_without_any_documentation_is_refused(monkeypatch, fresh, tmp_path):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    monkeypatch.setattr(builtin.sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(ValueError, match=r"ships no documentation.*give a UTF-8 text file"):
        python_documentation()
