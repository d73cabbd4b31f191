"""Reading a text file, with one clear line for every way in which it can be no text."""

from os import PathLike
from pathlib import Path
from typing import Literal

OnError = Literal["skip", "stop"]
"""What becomes of damaged rows."""


def read_text(path: str | PathLike[str]) -> str:
    """The text of any UTF-8 file; a byte-order mark at its start is dropped, line ends stay as they are.

    Raises:
        ValueError: if the file is missing, a folder, unreadable, empty, or not UTF-8 text (naming the byte).
    """
    path = Path(path).expanduser()
    text = _decoded(_bytes_of(path), path).removeprefix("\ufeff")
    if not text.strip():
        raise ValueError(f"text: '{path}' is empty; give a file with words in it")
    return text


def _bytes_of(path: Path) -> bytes:
    if path.is_dir():
        raise ValueError(f"text: '{path}' is a folder; give one text file")
    if path.exists() and not path.is_file():
        raise ValueError(f"text: '{path}' is a pipe or a device; write what it gives to a file and name that")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ValueError(f"text: '{path}' does not exist; check the path") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"text: '{path}' cannot be read ({reason}); give a readable text file") from None


def _decoded(content: bytes, path: Path) -> str:
    try:
        return plain_text(content)
    except ValueError as problem:
        raise ValueError(f"text: '{path}' {problem}") from None


def plain_text(content: bytes) -> str:
    """The text of a whole file's bytes.

    Raises:
        ValueError: saying in what way they are no text.
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("is UTF-16, not UTF-8 (byte 0); convert it with: iconv -f UTF-16 -t UTF-8")
    zero = content.find(b"\0")
    if zero >= 0:
        raise ValueError(f"is a binary file (NUL at byte {zero}); give a plain UTF-8 text file")
    return utf8(content)


def utf8(content: bytes) -> str:
    """Bytes decoded.

    Raises:
        ValueError: naming the first byte that is not UTF-8.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"is not UTF-8 (0x{content[error.start]:02x} at byte {error.start}); "
            "convert it to UTF-8 (iconv -t UTF-8) or give a plain text file"
        ) from None
