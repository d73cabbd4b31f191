"""Sentences with a marked word, read from files and made from any text."""

import numpy as np
import pytest

from jaxembed.corpus.pseudowords import merged_texts, pseudoword_sentences
from jaxembed.corpus.senses import read_sense_folder, read_senses

ROWS = ["1\ta bank lends", "2\tby the bank", "0\tbank of earth"]


def written(folder, part="train", rows=ROWS, gold=("0", "1", "1"), end="\n"):
    path = folder / f"{part}.data.txt"
    path.write_bytes((end.join(rows) + end).encode())
    (folder / f"{part}.gold.txt").write_bytes((end.join(gold) + end).encode())
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_is_read_whatever_its_line_ends(tmp_path, end):
    (tmp_path / "classes_map.txt").write_text('{"0": "money", "1": "river"}')
    found = read_senses(written(tmp_path, end=end))
    assert found.marked == ("bank",) * 3 and found.tokens[1] == ("by", "the", "bank")
    assert found.senses.tolist() == [0, 1, 1] and found.names == ("money", "river")
    assert found.counts.tolist() == [1, 2] and found.lines.tolist() == [1, 2, 3] and not found.damaged
    assert found.select([2]).places.tolist() == [0]


def test_a_separator_inside_a_sentence_ends_no_line(tmp_path):
    found = read_senses(written(tmp_path, rows=["0\tbank\u2028of earth", "0\tbank"], gold=("a", "b")))
    assert len(found) == 2 and found.names == ("a", "b")


@pytest.mark.parametrize(
    ("row", "label", "said"),
    [
        ("3\tby the bank", "1", "position 3 is past the sentence of 3 tokens"),
        ("by the bank", "1", "needs a position, a tab and a sentence"),
        ("-1\tby the bank", "1", "needs a position"),
        ("2\tby the bank", "7", "unknown sense '7'"),
    ],
)
def test_a_damaged_line_is_named_or_counted(tmp_path, row, label, said):
    (tmp_path / "classes_map.txt").write_text('{"0": "money", "1": "river"}')
    path = written(tmp_path, rows=[ROWS[0], row, ROWS[2]], gold=("0", label, "1"))
    with pytest.raises(ValueError, match=r"train\.data\.txt:2: ") as stop:
        read_senses(path)
    assert said in str(stop.value) and "\n" not in str(stop.value)
    found = read_senses(path, on_error="skip")
    assert len(found) == 2 and found.damaged[0][0] == 2 and said in found.damaged[0][1]
    assert found.lines.tolist() == [1, 3]


def test_files_that_do_not_fit_are_one_line(tmp_path):
    path = written(tmp_path, gold=("0", "1"))
    with pytest.raises(ValueError, match=r"3 sentences, but train\.gold\.txt has 2 senses"):
        read_senses(path)
    with pytest.raises(ValueError, match="must be a folder or end in"):
        read_senses(tmp_path / "sentences.txt")
    with pytest.raises(ValueError, match=r"test\.data\.txt' is not there"):
        read_sense_folder(tmp_path)
    with pytest.raises(ValueError, match="no sentence can be used"):
        read_senses(written(tmp_path, rows=["9\tx"], gold=("0",)), on_error="skip")
    (tmp_path / "classes_map.txt").write_text("[1]")
    with pytest.raises(ValueError, match="must map senses to names"):
        read_senses(written(tmp_path))


def test_both_parts_of_a_folder_name_senses_alike(tmp_path):
    written(tmp_path)
    written(tmp_path, "test", rows=["0\tbank"], gold=("2",))
    train, test = read_sense_folder(tmp_path)
    assert train.names == test.names == ("0", "1", "2") and test.senses.tolist() == [2]


def test_sentences_of_another_word_are_left_out(tmp_path):
    found = read_senses(written(tmp_path, rows=[*ROWS[:2], "0\tBanks of earth"])).of("Bank")
    assert len(found) == 2 and found.damaged == ((3, "marks 'Banks', not 'Bank'"),)
    with pytest.raises(ValueError, match=r"no sentence of .* marks 'seal'; it marks bank"):
        found.of("seal")


def test_pseudowords_know_what_they_were():
    texts = ["the cat sat on a mat. A dog!", "no animal", "dog"]
    merged, found = merged_texts(texts, ("cat", "dog")), pseudoword_sentences(texts, ("cat", "dog"), left=2, right=1)
    assert merged == ["the catdog sat on a mat a catdog", "no animal", "catdog"]
    assert found.marked == ("catdog",) * 3 and found.senses.tolist() == [0, 1, 1]
    assert found.tokens == (("the", "catdog", "sat"), ("mat", "a", "catdog"), ("catdog",))
    assert np.array_equal(found.places, [1, 2, 0])
    with pytest.raises(ValueError, match="'bird' does not occur"):
        pseudoword_sentences(texts, ("cat", "bird"))
    with pytest.raises(ValueError, match="two different words"):
        pseudoword_sentences(texts, ("cat", "cat"))
