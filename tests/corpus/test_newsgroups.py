"""Posts lose what names their group, and every one that is left out is counted."""

import io
import tarfile

import pytest

from jaxembed.corpus import Damage
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
