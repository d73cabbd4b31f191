"""Word vectors: files that come back as written, and files that are wrong, each named by its line."""

import numpy as np
import pytest

from jaxembed.words import WordVectors, read_vectors, write_vectors

ROWS = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
VECTORS = WordVectors(("the", "king", "Zürich", "kings"), ROWS)


@pytest.mark.parametrize("binary", [False, True])
def test_a_file_comes_back_bit_for_bit(tmp_path, binary):
    write_vectors(tmp_path / "some.vec", VECTORS, binary)
    found = read_vectors(tmp_path / "some.vec")
    assert found.words == VECTORS.words
    assert np.array_equal(found.matrix, ROWS)
    assert read_vectors(tmp_path / "some.vec", limit=2).words == ("the", "king")
    assert not list(tmp_path.glob(".*.part"))


def test_binary_rows_need_no_line_breaks(tmp_path):
    rows = b"".join(word.encode() + b" " + row.tobytes() for word, row in zip(VECTORS.words, ROWS, strict=True))
    (tmp_path / "plain.bin").write_bytes(b"4 3\n" + rows)
    assert np.array_equal(read_vectors(tmp_path / "plain.bin").matrix, ROWS)


def test_text_without_a_header_is_read(tmp_path):
    (tmp_path / "glove.txt").write_text("the 1 2\nof -1.5 3e-1\n", encoding="utf-8")
    assert read_vectors(tmp_path / "glove.txt").matrix.tolist() == [[1, 2], [-1.5, np.float32(0.3)]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("2 3\na 1 2 3\nb 1 2\n", r":3: 'b' has 2 numbers, the header says 3"),
        ("a 1 2 3\nb 1 2\n", r":2: 'b' has 2 numbers, the first row has 3"),
        ("2 2\na 1 2\na 3 4\n", r":3: 'a' occurs a second time"),
        ("2 2\na 1 2\nb 1 x\n", r":3: the row of 'b' holds what is no number"),
        ("2 2\na 1 2\nb 1 nan\n", r":3: the row of 'b' is not finite"),
        ("3 2\na 1 2\nb 1 3\n", r"ends after 2 words"),
        ("1 2\na 1 2\nb 1 3\n", r":3: a row more than the 1 that the header says"),
        ("", r"holds no row"),
        ("2 2\n", r"holds no row"),
        ("2 0\na 1\n", r":1: the header says width 0"),
        ("2 99999999999999999999\na 1\n", r":1: the header says width 99999999999999999999, 4 bytes follow"),
    ],
)
def test_wrong_rows_are_named(tmp_path, content, message):
    (tmp_path / "bad.vec").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_vectors(tmp_path / "bad.vec")


def test_files_cut_short_or_of_another_kind_are_named(tmp_path):
    write_vectors(tmp_path / "whole.bin", VECTORS, binary=True)
    (tmp_path / "cut.bin").write_bytes((tmp_path / "whole.bin").read_bytes()[:-5])
    with pytest.raises(ValueError, match="word 4: the file ends here"):
        read_vectors(tmp_path / "cut.bin")
    (tmp_path / "noise").write_bytes(bytes(range(256)))
    with pytest.raises(ValueError, match="begins with no count and width"):
        read_vectors(tmp_path / "noise")
    with pytest.raises(ValueError, match="is no file"):
        read_vectors(tmp_path / "none")


def test_a_missing_word_offers_those_spelt_alike():
    with pytest.raises(ValueError, match=r"'kingz': not among the 4 words; close spellings: king"):
        VECTORS.id("kingz")
    with pytest.raises(ValueError, match="none is spelt alike"):
        VECTORS.id("xyzzy")


def test_vectors_without_rows_or_with_blanks_are_refused(tmp_path):
    with pytest.raises(ValueError, match="one row for each of 2 words"):
        WordVectors(("a", "b"), ROWS)
    with pytest.raises(ValueError, match="'a' occurs twice"):
        WordVectors(("a", "a"), ROWS[:2])
    with pytest.raises(ValueError, match="white space"):
        write_vectors(tmp_path / "x", WordVectors(("new york",), ROWS[:1]))


@pytest.mark.parametrize(("header", "message"), [("3 3", "goes on after the 3 words of width 3"), ("4 2", "bad.bin")])
def test_a_binary_header_that_understates_is_refused(tmp_path, header, message):
    write_vectors(tmp_path / "whole.bin", VECTORS, binary=True)
    rows = (tmp_path / "whole.bin").read_bytes().removeprefix(b"4 3\n")
    (tmp_path / "bad.bin").write_bytes(header.encode() + b"\n" + rows)
    with pytest.raises(ValueError, match=message):
        read_vectors(tmp_path / "bad.bin")
    assert read_vectors(tmp_path / "whole.bin", limit=3).words == VECTORS.words[:3]


@pytest.mark.parametrize("header", [b"2 2\n", b""])
def test_text_of_another_encoding_is_named_by_its_line(tmp_path, header):
    (tmp_path / "latin.txt").write_bytes(header + b"caf\xe9 0.1 0.2\nof 1 2\n")
    with pytest.raises(ValueError, match=rf"latin.txt:{2 if header else 1}: is not UTF-8"):
        read_vectors(tmp_path / "latin.txt")


def test_binary_words_of_another_encoding_stay_apart(tmp_path):
    row = ROWS[0].tobytes()
    (tmp_path / "x.bin").write_bytes(b"2 3\n\xe9 " + row + b"\n\xe8 " + row + b"\n")
    assert read_vectors(tmp_path / "x.bin").words == (r"\xe9", r"\xe8")
