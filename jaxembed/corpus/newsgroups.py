"""The 20 Newsgroups posts, split by date: one document a post, less what gives its group away."""

import re
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path

from .archives import MEMBER, Broken, members
from .documents import Damage, Document

PARTS = {"train": ("train", "training", "20news-bydate-train"), "test": ("test", "20news-bydate-test")}
"""What the folders of the two parts are called in the archives that are about."""

QUOTED = re.compile(r"^\s{0,3}[A-Za-z]{0,4}[>|]")
"""A line of another post: ">" or "|", perhaps after a writer's initials."""
ATTRIBUTION = re.compile(r"^In article\b|\b(?:writes|wrote|says|said):?\s*$", re.IGNORECASE)
"""A line that says who is quoted."""
RULE = re.compile(r"^[\s\-_=*~]*$")
"""An empty line, or one of dashes alone."""


def newsgroups(
    archive: str | PathLike[str],
    part: str,
    *,
    drop: Sequence[str] = (),
    damage: Damage | None = None,
) -> list[Document]:
    """The posts of one part of a by-date archive, sorted by group and number; `subset` is the group.

    Headers are always dropped: From, Subject, Organization and Newsgroups name the topic.

    Args:
        archive: tar file, compressed or not, of `.../train/GROUP/NUMBER` and `.../test/GROUP/NUMBER`.
        part: "train" or "test".
        drop: what else is taken out. "quotes": lines of other posts (that begin with ">" or "|", perhaps after
            initials) and the lines that say who wrote them. "footers": what follows the last empty or dashed line,
            where that leaves any text, which takes a signature, and the last paragraph of a post that has none.
        damage: where posts that are left out are counted: empty ones, ones without a header block, binary ones and
            ones of more than 64 MiB.

    Raises:
        ValueError: for a file that is no archive or is cut short, without posts of that part, or an unknown word.

    Source: zhang2024embed.
    """
    _check(part, drop)
    damage = Damage() if damage is None else damage
    posts, files = [], 0
    for group, number, content in _members(Path(archive).expanduser(), part):
        files += 1
        place = f"{part}/{group}/{number}"
        text, problem = ("", content) if isinstance(content, str) else _text(content, drop)
        if problem:
            damage.add(place, problem)
        else:
            posts.append(Document(text, place, group))
    if not files:
        raise ValueError(
            f"archive: {archive} holds no posts under {' or '.join(PARTS[part])}/GROUP/; give the by-date one"
        )
    return sorted(posts, key=lambda post: (post.subset or "", post.source))


def _check(part: str, drop: Sequence[str]) -> None:
    if part not in PARTS:
        raise ValueError(f"part: '{part}' is not known; choose {' or '.join(PARTS)}")
    for word in drop:
        if word not in ("footers", "quotes"):
            raise ValueError(f"drop: '{word}' is not known; choose footers, quotes or both (headers always go)")


def _members(archive: Path, part: str) -> Iterator[tuple[str, str, bytes | str]]:
    """(group, number, content or what is wrong with it) of every post of a part."""
    if not archive.is_file():
        raise ValueError(f"archive: '{archive}' is no file; give 20news_bydate.tar.gz")
    try:
        for member, content in members(archive):
            *_, folder, group, number = ("", "", *member.name.split("/"))
            if member.isfile() and folder in PARTS[part]:
                large = member.size > MEMBER
                yield group, number, f"is longer than {MEMBER // 2**20} MiB; leave it out" if large else content()
    except Broken as error:
        raise ValueError(f"archive: '{archive}' cannot be read ({str(error).split(';')[0]}); fetch it again") from None


def _text(content: bytes, drop: Sequence[str]) -> tuple[str, str | None]:
    """What is left of a post, or what is wrong with it."""
    if b"\0" in content:
        return "", "is binary; leave it out"
    headers, blank, text = content.decode("latin-1").replace("\r\n", "\n").partition("\n\n")
    if not blank or ":" not in headers:
        return "", "has no header block; leave it out"
    for name, without in (("quotes", without_quotes), ("footers", without_footer)):
        text = without(text) if name in drop else text
    text = text.strip()
    return (text, None) if text else ("", f"is empty without {', '.join(['headers', *sorted(drop)])}; leave it out")


def without_quotes(text: str) -> str:
    """A post without lines of other posts and the lines that say who wrote them.

    >>> without_quotes("Ann <a@b.c> writes:\\n> Where?\\nHere.")
    'Here.'
    """
    lines = text.split("\n")
    return "\n".join(line for line in lines if not (QUOTED.match(line) or ATTRIBUTION.search(line)))


def without_footer(text: str) -> str:
    """A post without what follows its last empty or dashed line, where that leaves any text.

    >>> without_footer("Here.\\n\\nThere.\\n--\\nAnn")
    'Here.\\n\\nThere.'
    """
    lines = text.strip().split("\n")
    last = max((i for i, line in enumerate(lines) if RULE.match(line)), default=0)
    kept = "\n".join(lines[:last]).strip()
    return kept or text.strip()
