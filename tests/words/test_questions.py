"""Analogy files of three forms: what is read, what is left out, and where."""

import pytest

from jaxembed.words import read_questions, read_similarity


def written(tmp_path, text, name="questions.txt"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_google_sections_case_and_repeats(tmp_path):
    path = written(tmp_path, "\ufeff: capitals\nParis France Rome Italy\nparis france rome italy\n\n: gram1\na b c d\n")
    found = read_questions(path)
    assert found.form == "google" and found.name == "questions" and not found.cased
    assert found.sections == {"capitals": (("paris", "france", "rome", "italy"),), "gram1": (("a", "b", "c", "d"),)}
    assert len(found) == 2 and found.repeated == 1 and "1 repeated questions" in found.note()
    cased = read_questions(path, cased=True)
    assert cased.repeated == 0 and cased.sections["capitals"][0] == ("Paris", "France", "Rome", "Italy")


def test_equal_looking_words_are_equal(tmp_path):
    composed = read_questions(written(tmp_path, "é b c d")).sections
    assert composed == read_questions(written(tmp_path, "e\u0301 b c d")).sections


def test_msr_and_bats_are_told_from_the_file(tmp_path):
    msr = read_questions(written(tmp_path, "good better rough JJ_JJR rougher\nbad\n"))
    assert msr.form == "msr" and msr.sections == {"JJ_JJR": (("good", "better", "rough", "rougher"),)}
    assert msr.damaged[0][0] == 2
    folder = tmp_path / "bats" / "1_Inflectional"
    folder.mkdir(parents=True)
    (folder / "I01.txt").write_text("cat\tcats\nperson\tpeople/persons\n")
    (folder / "I02.txt").write_text("go\twent\nbroken\n")
    bats = read_questions(tmp_path / "bats")
    assert bats.form == "bats" and bats.sections == {"I01": (("cat", "cats", "person", "people/persons"),
                                                              ("person", "people", "cat", "cats"))}  # fmt: skip
    assert bats.damaged == ((2, "I02.txt: has 1 words, needs a word, a tab, and its partners with / between them"),)
    assert read_questions(folder / "I01.txt").form == "bats"


def test_malformed_rows_are_counted_or_stop_the_reading(tmp_path):
    path = written(tmp_path, b": x\na b c d\na b c\n\xff b c d\na b c d e f\n")
    found = read_questions(path)
    assert [line for line, _ in found.damaged] == [3, 4, 5] and len(found) == 1
    assert "3 malformed rows (the first: line 3, has 3 words" in found.note() and found.damaged[1][1] == "is not UTF-8"
    with pytest.raises(ValueError, match=r"questions\.txt:3: has 3 words, needs four"):
        read_questions(path, on_error="stop")


def test_no_question_at_all_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no question of the form google"):
        read_questions(written(tmp_path, ": empty\n"))
    with pytest.raises(ValueError, match="1 malformed rows, the first: line 1"):
        read_questions(written(tmp_path, "a b c\n"), form="msr")
    with pytest.raises(ValueError, match="does not exist"):
        read_questions(tmp_path / "nowhere.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no \.txt file"):
        read_questions(tmp_path / "empty")


def test_similarity_rows_by_any_separator_and_what_is_wrong_with_others(tmp_path):
    path = written(
        tmp_path, b"Word 1,Word 2,Human\nTiger,cat,7.35\nsun;moon;5\nsea  shore 3 more\na\tb\n\xff,b,1\na,b,nan\n"
    )
    found = read_similarity(path)
    assert found.pairs == (("tiger", "cat"), ("sun", "moon"), ("sea", "shore")) and found.scores.tolist() == [
        7.35,
        5,
        3,
    ]
    assert [line for line, _ in found.damaged] == [1, 5, 6, 7] and "is no number" in found.damaged[0][1]
    assert read_similarity(path, cased=True).pairs[0] == ("Tiger", "cat")
    with pytest.raises(ValueError, match=r"questions\.txt:1: score 'Human' is no number"):
        read_similarity(path, "stop")
    with pytest.raises(ValueError, match="holds no row of two words and a score"):
        read_similarity(written(tmp_path, "a\tb\n", "empty.txt"))
    with pytest.raises(ValueError, match="does not exist"):
        read_similarity(tmp_path / "nowhere.txt")


def test_one_malformed_row_does_not_decide_the_form(tmp_path):
    found = read_questions(written(tmp_path, "a b c d e\ngood better rough rougher\nbig bigger old older\n"))
    assert found.form == "google" and len(found) == 2 and found.damaged[0][0] == 1
    assert read_questions(written(tmp_path, "a b c d e\na b c d\n")).form == "google"
