"""Posts lose what names their group, and every one that is left out is counted."""

import gzip
import io
import lzma
import tarfile

import pytest

from jaxembed.corpus import Damage, archives
from jaxembed.corpus.newsgroups import newsgroups, without_footer, without_quotes

HEAD = "From: ann@a.b (Ann)\nSubject: moon\n\n"
POSTS = {
    "training/sci.space/2": HEAD + "The moon\nis far.",
    "training/sci.space/10": HEAD + "Bob <b@c.d> writes:\n> How far?\nVery.\n\n--\nAnn",
    "training/rec.autos/1": HEAD + "A \xe9l\xe9gant car.",
    "training/rec.autos/2": HEAD + "  \n",
    "training/rec.autos/3": "no block of headers",
    "training/rec.autos/4": HEAD + "bits\0bytes",
    "test/sci.space/7": HEAD.replace("\n", "\r\n") + "Orbit.\r\n",
}


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "posts.tar.gz"
    with tarfile.open(path, "w:gz") as files:
        for name, text in POSTS.items():
            content = text.encode("latin-1")
            member = tarfile.TarInfo(f"data/{name}")
            member.size = len(content)
            files.addfile(member, io.BytesIO(content))
    return path


def test_headers_go_and_the_folder_is_the_label(archive):
    damage = Damage()
    found = newsgroups(archive, "train", damage=damage)
    assert [(post.subset, post.source) for post in found] == [
        ("rec.autos", "train/rec.autos/1"),
        ("sci.space", "train/sci.space/10"),
        ("sci.space", "train/sci.space/2"),
    ]
    assert found[0].text == "A \xe9l\xe9gant car." and found[2].text == "The moon\nis far."
    assert "writes:" in found[1].text and "Subject" not in found[1].text
    assert dict(damage.kinds) == {"is empty without headers": 1, "has no header block": 1, "is binary": 1}
    assert [post.text for post in newsgroups(archive, "test")] == ["Orbit."]


def test_quotes_and_footers_go_where_asked(archive):
    dropped = {drop: newsgroups(archive, "train", drop=drop)[1].text for drop in (("quotes",), ("footers",))}
    assert dropped == {("quotes",): "Very.\n\n--\nAnn", ("footers",): "Bob <b@c.d> writes:\n> How far?\nVery."}
    assert newsgroups(archive, "train", drop=("footers", "quotes"))[1].text == "Very."


def test_lines_of_others_are_known_by_their_marks():
    assert without_quotes("a\n> b\n  | c\nAB> d\nIn article <1@x>, Ann wrote:\ne > f") == "a\ne > f"
    assert without_footer("one paragraph") == "one paragraph" == without_footer("\n\none paragraph\n")
    assert without_footer("a\n\nb\n____\nname") == "a\n\nb"


def test_what_is_no_archive_is_said_in_one_line(archive, tmp_path):
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(archive.read_bytes()[:-40])
    for place, part, drop, said in (
        (tmp_path / "none", "train", (), "is no file"),
        (cut, "train", (), "cannot be read"),
        (archive, "dev", (), "choose train or test"),
        (archive, "train", ("headers",), "headers always go"),
    ):
        with pytest.raises(ValueError, match=said):
            newsgroups(place, part, drop=drop)
    with tarfile.open(tmp_path / "other.tar", "w") as files:
        files.addfile(tarfile.TarInfo("data/readme"))
    with pytest.raises(ValueError, match="holds no posts under test"):
        newsgroups(tmp_path / "other.tar", "test")


@pytest.mark.parametrize("at", [0, 257, 512, -1])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_no_post_vanishes_where_an_archive_breaks_off(archive, tmp_path, at, pack):
    """tarfile takes a member header that is damaged or cut for the end of the file."""
    plain = gzip.decompress(archive.read_bytes())
    whole = tmp_path / "whole"
    whole.write_bytes(pack(plain))
    assert len(newsgroups(whole, "train")) == 3
    with tarfile.open(archive) as files:
        header = files.getmembers()[3].offset
    cut = plain[:header] + (b"\xff" * 512 + plain[header + 512 :] if at < 0 else plain[header : header + at])
    whole.write_bytes(pack(cut))
    with pytest.raises(ValueError, match=r"whole' cannot be read \(.*\); fetch it again") as error:
        newsgroups(whole, "train")
    assert "\n" not in str(error.value)


def test_a_damaged_xz_and_a_bomb_are_one_line(archive, tmp_path, monkeypatch):
    content = bytearray(lzma.compress(gzip.decompress(archive.read_bytes())))
    content[40:48] = b"\xff" * 8
    (tmp_path / "n.tar.xz").write_bytes(content)
    with pytest.raises(ValueError, match=r"n.tar.xz' cannot be read \(is damaged"):
        newsgroups(tmp_path / "n.tar.xz", "train")
    monkeypatch.setattr(archives, "ALLOWED", 2**10)
    (tmp_path / "bomb.tar.gz").write_bytes(gzip.compress(bytes(2**20)))
    with pytest.raises(ValueError, match=r"bomb.tar.gz' cannot be read \((its members|becomes more than)"):
        newsgroups(tmp_path / "bomb.tar.gz", "train")


def test_a_sparse_member_of_any_size_is_counted_and_not_read(tmp_path):
    """A header may say terabytes where the file holds nothing."""
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT) as files:
        for number, text in (("1", HEAD + "moon"), ("2", ""), ("3", HEAD + "sun")):
            member = tarfile.TarInfo(f"train/sci.space/{number}")
            member.size = len(text)
            if not text:
                member.type = tarfile.GNUTYPE_SPARSE
            files.addfile(member, io.BytesIO(text.encode()))
    content = bytearray((tmp_path / "a.tar").read_bytes())
    at = 1024  # the second header: its real size is 2**40
    content[at + 483 : at + 495] = b"\x80" + (2**40).to_bytes(11, "big")
    content[at + 148 : at + 156] = b" " * 8
    content[at + 148 : at + 156] = b"%06o\0 " % sum(content[at : at + 512])
    (tmp_path / "a.tar").write_bytes(content)
    damage = Damage()
    assert [post.text for post in newsgroups(tmp_path / "a.tar", "train", damage=damage)] == ["moon", "sun"]
    assert dict(damage.kinds) == {"is longer than 64 MiB": 1}
