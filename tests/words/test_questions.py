"""Analogy files of three forms: what is read, what is left out, and where."""

import pytest

from jaxembed.words import questions, read_questions, read_similarity


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
    assert [line for line, _ in found.damaged] == [5, 6, 7] and "is not finite" in found.damaged[2][1]
    assert read_similarity(path, cased=True).pairs[0] == ("Tiger", "cat")
    with pytest.raises(ValueError, match=r"questions\.txt:5: has 2 columns"):
        read_similarity(path, "stop")
    with pytest.raises(ValueError, match="holds no row of two words and a score"):
        read_similarity(written(tmp_path, "a\tb\n", "empty.txt"))
    with pytest.raises(ValueError, match="does not exist"):
        read_similarity(tmp_path / "nowhere.txt")


def test_one_malformed_row_does_not_decide_the_form(tmp_path):
    found = read_questions(written(tmp_path, "a b c d e\ngood better rough rougher\nbig bigger old older\n"))
    assert found.form == "google" and len(found) == 2 and found.damaged[0][0] == 1
    assert read_questions(written(tmp_path, "a b c d e\na b c d\n")).form == "google"


PLAIN = (("king", "queen"), ("new york", "town"), ("apple", "pear"))
FORMS = {
    "quoted": '"word1","word2","score"\n"king","queen",8.5\n"New York","town","-7"\n"apple", "pear", 1e-1\n',
    "decimal commas": "king;queen;8,5\nnew york;town;-7,0\napple;pear;0,1\n",
    "quoted decimal commas": 'king,queen,"8,5"\nnew york,town,"-7"\napple,pear,"0,1"\n',
    "parts of speech": "king\tqueen\tN\t8.5\tNONE\nnew york\ttown\tN\t-7\tNONE\napple\tpear\tV\t.1\tNONE\n",
    "heading": "word1\tword2\tPOS\tSimLex999\tconc(w1)\nking\tqueen\tN\t8.5\t2\nnew york\ttown\tN\t-7\t2\n"
    "apple\tpear\tA\t.1\t3\n",
    "heading names a later column": "word1,word2,freq,Human (mean)\nking,queen,3,8.5\nnew york,town,4,-7\n"
    "apple,pear,5,.1\n",
    "blanks": '"king" queen 8,5\napple pear 0,1\n',
}


@pytest.mark.parametrize("form", FORMS)
def test_similarity_files_are_read_in_every_published_form(tmp_path, form):
    found = read_similarity(written(tmp_path, FORMS[form]))
    kept = [0, 2] if form == "blanks" else [0, 1, 2]
    assert found.pairs == tuple(PLAIN[k] for k in kept) and found.damaged == ()
    assert found.scores.tolist() == [[8.5, -7, 0.1][k] for k in kept]
    assert ("column 4" in found.note()) == ("speech" in form or "heading" in form)


def test_a_row_without_a_score_is_no_heading(tmp_path):
    found = read_similarity(written(tmp_path, "king\tqueen\tn/a\napple\tpear\t1\n"))
    assert found.damaged == ((1, "score 'n/a' is no number"),)
    assert "2 columns" in read_similarity(written(tmp_path, "a\tb\tN\t-1\na\tb\nc\td\tN\t-1\n")).damaged[0][1]


@pytest.mark.parametrize("heading", ["", "a,b,c,d\n", "word1,word2,word3,Answer\n"])
def test_questions_with_commas_are_read(tmp_path, heading):
    found = read_questions(written(tmp_path, heading + 'king,"queen", man, New York\nman,woman,king,queen\n', "q.csv"))
    assert found.sections == {"q": (("king", "queen", "man", "new york"), ("man", "woman", "king", "queen"))}
    assert found.damaged == (((1, "is a heading"),) if heading else ())
    assert read_questions(tmp_path / "q.csv", on_error="stop") == found


def test_the_two_files_of_msr_are_one_set(tmp_path):
    asked = written(tmp_path, "good better rough\nking queen man\n\n", "w.questions")
    with pytest.raises(ValueError, match=r"holds no question .*; put the answers beside it as w\.answers"):
        read_questions(asked)
    answers = written(tmp_path, "JJ_JJR rougher\nNN_NNS woman\n", "w.answers")
    found = read_questions(asked)
    assert found.form == "msr" and not found.damaged
    assert found.sections == {"JJ_JJR": (("good", "better", "rough", "rougher"),),
                              "NN_NNS": (("king", "queen", "man", "woman"),)}  # fmt: skip
    answers.write_text("JJ_JJR rougher\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"w\.answers: has 1 rows, w\.questions has 2"):
        read_questions(asked)


def test_of_many_pairs_some_are_drawn_and_said(tmp_path, monkeypatch):
    monkeypatch.setattr(questions, "MOST_PAIRS", 20)
    pairs = [f"a{k}\tb{k}\n" for k in range(200)]
    found = read_questions(written(tmp_path, "".join(pairs), "all.txt"))
    assert len(found) == 20 * 19 and found == read_questions(tmp_path / "all.txt")
    assert "all: the questions of 20 of its 200 pairs, drawn" in found.note()
    numbers = sorted({int(a[1:]) for a, *_ in found.sections["all"]})
    assert len(numbers) == 20 and numbers[0] < 40 and numbers[-1] > 160
    assert not read_questions(written(tmp_path, "".join(pairs[:20]), "few.txt")).drawn
