"""Word vectors: files that come back as written, and files that are wrong, each named by its line."""

import bz2
import gzip
import lzma

import numpy as np
import pytest

from jaxembed.words import WordVectors, _vector_rows, read_vectors, write_vectors

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
        ("2 3\na 1 2 3\nb 1 2 3 4\n", r":3: 'b' has 4 numbers, the header says 3"),
        ("2 2\na 1 2\nb 1e39 3\n", r":3: the row of 'b' holds 1e\+39, beyond float32"),
        ("a 1 2\nb 1 1e999\n", r":2: the row of 'b' is not finite"),
        ("king\nqueen\n", r":1: has no numbers"),
        ("king 0,1 0,2\nqueen 0,2 0,1\n", r":1: has no numbers"),
        ("a,1,2\nb,1\n", r":2: 'b' has 1 numbers, the first row has 2"),
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
def test_text_of_another_encoding_is_escaped_and_counted(tmp_path, header):
    (tmp_path / "latin.txt").write_bytes(header + b"caf\xe9 0.1 0.2\nof 1 2\n")
    found = read_vectors(tmp_path / "latin.txt")
    assert found.words == (r"caf\xe9", "of")
    assert f"1 words escaped: no UTF-8 (the first: {tmp_path}/latin.txt:{2 if header else 1}" in found.note()


def test_binary_words_of_another_encoding_stay_apart(tmp_path):
    row = ROWS[0].tobytes()
    (tmp_path / "x.bin").write_bytes(b"2 3\n\xe9 " + row + b"\n\xe8 " + row + b"\n")
    assert read_vectors(tmp_path / "x.bin").words == (r"\xe9", r"\xe8")


PACKED = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("packing", PACKED)
def test_a_packed_file_is_read_like_what_it_holds(tmp_path, packing, binary):
    write_vectors(tmp_path / "v", VECTORS, binary)
    packed = PACKED[packing]((tmp_path / "v").read_bytes())
    (tmp_path / "packed").write_bytes(packed)
    found = read_vectors(tmp_path / "packed")
    assert found.words == VECTORS.words and np.array_equal(found.matrix, ROWS)
    for damaged in (packed[:-9], packed[:30] + b"\0\0\0\0" + packed[34:]):
        (tmp_path / "damaged").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"damaged: (is packed, and damaged|.*word|.*row)"):
            read_vectors(tmp_path / "damaged")


@pytest.mark.parametrize("header", ["", "3 2\n"])
def test_a_byte_order_mark_is_no_part_of_a_word(tmp_path, header):
    (tmp_path / "bom.txt").write_text("\ufeff" + header + "king 1 2\nof 3 4\nthe 5 6\n", encoding="utf-8")
    assert read_vectors(tmp_path / "bom.txt").words == ("king", "of", "the")


@pytest.mark.parametrize("header", ["", "5 2\n"])
def test_words_may_hold_blanks_and_be_numbers(tmp_path, header):
    rows = "7 1 2\n. . . 3 4\nat name@example.com 5 6\ninf 7 8\n, 9 10\n"
    (tmp_path / "v.txt").write_text(header + rows, encoding="utf-8")
    found = read_vectors(tmp_path / "v.txt")
    assert found.words == ("7", ". . .", "at name@example.com", "inf", ",")
    assert found.matrix.ravel().tolist() == list(range(1, 11))


def test_of_a_word_that_occurs_twice_the_first_row_counts(tmp_path):
    (tmp_path / "v.txt").write_text("4 2\na 1 2\nb 3 4\na 9 9\nc 5 6\n", encoding="utf-8")
    found = read_vectors(tmp_path / "v.txt")
    assert found.words == ("a", "b", "c") and found.matrix[0].tolist() == [1, 2]
    assert found.note() == f"3 words x 2; 1 rows left out that repeat a word (the first: {tmp_path}/v.txt:4, 'a')"
    assert read_vectors(tmp_path / "v.txt", limit=3).words == ("a", "b", "c")


@pytest.mark.parametrize("heading", ["", "word,x,y\n", ",0,1\n"])
def test_a_table_with_commas_is_read(tmp_path, heading):
    (tmp_path / "v.csv").write_text(heading + 'king,1,2\n"of, the",3, 4\n', encoding="utf-8")
    found = read_vectors(tmp_path / "v.csv")
    assert found.words == ("king", "of, the") and found.matrix.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("binary", [False, True])
def test_a_limit_reads_no_further_and_keeps_what_is_asked_for_beyond(tmp_path, binary):
    write_vectors(tmp_path / "v", VECTORS, binary)
    whole = (tmp_path / "v").read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) * 3 // 4])
    assert read_vectors(tmp_path / "cut", limit=2).words == ("the", "king")
    kept = read_vectors(tmp_path / "v", limit=1, keep=lambda word: word == "kings")
    assert kept.words == ("the", "kings") and np.array_equal(kept.matrix, ROWS[[0, 3]])
    with pytest.raises(ValueError, match="cut"):
        read_vectors(tmp_path / "cut", limit=1, keep=lambda word: False)


def test_what_would_flood_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(_vector_rows, "LONGEST", 1000)
    (tmp_path / "line.txt.gz").write_bytes(gzip.compress(b"king 1 2\nof" + 2000 * b" 1"))
    with pytest.raises(ValueError, match=r"line\.txt\.gz:2: goes on for"):
        read_vectors(tmp_path / "line.txt.gz")
    (tmp_path / "wide.bin.gz").write_bytes(gzip.compress(b"2 99999999999\n" + b"king \0\0\0\0"))
    with pytest.raises(ValueError, match="the header says width 99999999999; mend"):
        read_vectors(tmp_path / "wide.bin.gz")
