"""Files that are opened as bytes: compressed ones are unpacked piece by piece, and never without a bound."""

import bz2
import lzma
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from ..machine import optional

EXPANSION = 200.0
"""How many times its size a compressed file may become, unless the user says. The Pile and 20 Newsgroups become 2.6 to
4.2 times as long by gz and xz, rows of JSON that differ in one number 28 times by gz, 72 by xz and 105 by zst; bombs
become a thousand times as long and more."""
ALLOWED = 2**26
"""Bytes that a compressed file may become in any case, however small it is."""
BLOCK, PACKED_BLOCK = 2**16, 2**10
"""Bytes read at a time, and of a compressed file: 1 kB of gz can hold 1 MB, and of zst 32 MB."""
MEMBER = 2**26
"""Bytes that one member of a tar file may have; a sparse one says any number."""
LOST = "the rest of the file is lost"


class Broken(Exception):
    """A file that does not go on: what is wrong; what to do."""


def chunks(path: Path, max_expansion: float = EXPANSION) -> Iterator[bytes]:
    """The content of a file in pieces of at most `BLOCK` bytes, unpacked where its name or its first bytes say so.

    Args:
        path: a regular file.
        max_expansion: how many times its size a compressed file may become; `ALLOWED` bytes it always may.

    Raises:
        Broken: for a damaged, truncated or too large file, once what is before has been given.
    """
    with path.open("rb") as file:
        make = _unpacker(path, file.read(6))
        file.seek(0)
        if make is None:
            yield from iter(partial(file.read, BLOCK), b"")
            return
        most = max(max_expansion * os.fstat(file.fileno()).st_size, ALLOWED)
        pieces = _unpacked(iter(partial(file.read, PACKED_BLOCK), b""), *make())
        yield from _bounded(pieces, most, max_expansion)


def is_packed(path: Path) -> bool:
    """Whether a file's name says that it is compressed."""
    return path.suffix.lower() in COMPRESSIONS


def _unpacker(path: Path, head: bytes) -> "Callable[[], Unpacker] | None":
    known = (make for sign, make in _SIGNS.items() if head.startswith(sign))
    return COMPRESSIONS.get(path.suffix.lower()) or next(known, None)


def _bounded(pieces: Iterator[bytes], most: float, max_expansion: float) -> Iterator[bytes]:
    """The pieces, cut to blocks, until they are more bytes than may be."""
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > most:
            raise Broken(
                f"becomes more than {max_expansion:g} times as long ({most / 2**20:,.0f} MiB), {LOST}; "
                "if that is right, raise --max-expansion"
            )
        yield from (piece[at : at + BLOCK] for at in range(0, len(piece), BLOCK))


def _unpacked(blocks: Iterator[bytes], make: Callable[[], Any], damaged: type[Exception]) -> Iterator[bytes]:
    """Frame after frame; a reader from a library may take a missing end for the end."""
    frame, begun, frames = make(), False, 0
    for block in blocks:
        while block:
            if frames and not begun:
                block = block.lstrip(b"\0")  # padding, as tapes and block devices leave it
                if not block:
                    break
            try:
                yield from _pieces(frame, block)
            except damaged as error:
                raise Broken(f"is damaged, {LOST} ({error}); fetch or compress it again") from None
            begun, block = True, b""
            if frame.eof:
                block, frame, begun, frames = frame.unused_data, make(), False, frames + 1
    if begun:
        raise Broken(f"ends too early, {LOST} (truncated); fetch or compress it again")


def _pieces(frame: Any, block: bytes) -> Iterator[bytes]:
    """What a block becomes; 1 kB of bzip2 can hold a GB, so its reader is asked for a little at a time."""
    if not hasattr(frame, "needs_input"):
        yield frame.decompress(block)
        return
    yield frame.decompress(block, BLOCK)
    while not (frame.needs_input or frame.eof):
        yield frame.decompress(b"", BLOCK)


Unpacker = tuple[Callable[[], Any], type[Exception]]
"""What makes a decompressor, and what that raises at damage."""


def _gzip() -> Unpacker:
    return partial(zlib.decompressobj, wbits=31), zlib.error


def _zstandard() -> Unpacker:
    library = optional("zstandard", "text")
    return library.ZstdDecompressor(max_window_size=2**31).decompressobj, library.ZstdError


def _xz() -> Unpacker:
    return partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, memlimit=2**30), lzma.LZMAError


def _bzip2() -> Unpacker:
    return bz2.BZ2Decompressor, OSError


COMPRESSIONS = {".gz": _gzip, ".zst": _zstandard, ".xz": _xz, ".bz2": _bzip2}
_SIGNS = {b"\x1f\x8b": _gzip, b"\x28\xb5\x2f\xfd": _zstandard, b"\xfd7zXZ\0": _xz, b"BZh": _bzip2}
"""With what files of a compression begin, whatever their name."""


class _Pieces:
    """Reads from pieces as from a file, as tarfile needs it."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces, self.held = pieces, b""

    def read(self, size: int) -> bytes:
        parts, missing = [self.held], size - len(self.held)
        while missing > 0 and (piece := next(self.pieces, b"")):
            parts.append(piece)
            missing -= len(piece)
        whole = b"".join(parts)
        self.held = whole[size:]
        return whole[:size]


class _Member(tarfile.TarInfo):
    """A header of a tar file; tarfile itself takes a damaged or a missing one for the end of the file."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> "_Member":
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise  # the empty block at the end
            raise tarfile.ReadError(f"its members break off: {error}") from None


def members(path: Path, max_expansion: float = EXPANSION) -> Iterator[tuple[tarfile.TarInfo, Callable[[], bytes]]]:
    """The members of a tar file, compressed or not, in order, with what reads a regular one.

    Whoever reads a member looks at its size first (`MEMBER`).

    Raises:
        Broken: for a file that is damaged or cut anywhere, too large, or no tar file.
    """
    pieces = chunks(path, max_expansion)
    try:
        with tarfile.open(fileobj=_Pieces(pieces), mode="r|", tarinfo=_Member) as files:  # type: ignore[call-overload]
            for member in files:
                yield member, partial(_content, files, member)
        for _ in pieces:  # a checksum may stand at the very end
            pass
    except (tarfile.TarError, OSError, EOFError) as error:
        raise Broken(" ".join(str(error).split())) from None


def _content(files: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    try:
        content = files.extractfile(member)
        return b"" if content is None else content.read()
    except tarfile.TarError as error:
        raise Broken(f"{member.name}: {error}") from None
