"""`jaxembed analogy` on a file of vectors made here."""

import json

import numpy as np
import pytest

from jaxembed.__main__ import main
from jaxembed.words import WordVectors, write_vectors

WORDS = ("king", "queen", "man", "woman", "boy", "girl", "stone", "bread")
CORNERS = [[1, 1, 0], [1, -1, 0], [-1, 1, 0], [-1, -1, 0], [0.1, 1, 0.5], [0.1, -1, 0.5], [0, 0.1, -1], [0.2, 0, -1]]
QUESTIONS = ": family\nking queen man woman\nMAN WOMAN boy girl\nking queen\nboy girl tsar tsarina\n"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    root = tmp_path_factory.mktemp("analogy")
    write_vectors(root / "vectors.txt", WordVectors(WORDS, np.array(CORNERS, np.float32)))
    (root / "questions.txt").write_text(QUESTIONS, encoding="utf-8")
    (root / "pairs.txt").write_text("king\tqueen\t8\nstone\tbread\t9\nking\tstone\t1\nman\ttsar\t2\nman\tx\n")
    return root


def said(arguments, capsys):
    main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def failed(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.startswith("jaxembed: "), error
    return error


def test_king_minus_queen_plus_woman(files, capsys, tmp_path):
    flags = ["--vectors", files / "vectors.txt", "--count", 2, "--out", tmp_path / "found.json"]
    printed = said(["analogy", "KING", "queen", "woman", *flags], capsys)
    assert "king is to queen as ? is to woman" in printed and "three words left out, lower-cased" in printed
    found = json.loads((tmp_path / "found.json").read_text())
    assert next(iter(found["nearest"])) == "man" and found["nearest"]["man"] == pytest.approx(1, abs=1e-5)
    said(["analogy", "king", "queen", "woman", *flags, "--method", "PairDirection", "--include"], capsys)
    assert "woman" not in json.loads((tmp_path / "found.json").read_text())["nearest"]  # no direction to itself


def test_files_are_scored_with_coverage_convention_and_what_was_left_out(files, capsys, tmp_path):
    flags = ["--vectors", files / "vectors.txt", "--resamples", 50, "--out", tmp_path / "found.md"]
    scored = ["--questions", files / "questions.txt", "--similarity", files / "pairs.txt"]
    printed = " ".join(said(["analogy", *flags, *scored], capsys).split())
    assert "3 questions in 1 sections; left out: 1 malformed rows (the first: line 4, has 2 words" in printed
    assert "query words left out, lower-cased, ties lost" in printed and "word pairs redrawn" in printed
    assert "left out: 1 malformed rows (the first: line 5" in printed
    table = (tmp_path / "found.md").read_text()
    assert "| total | 3 | 2 | 2 | 100.0% |" in table and "| pairs | 4 | 3 | 0.5" in table


def test_what_cannot_be_answered_is_one_line(files, capsys):
    vectors = ["--vectors", files / "vectors.txt"]
    assert "close spellings: king" in failed(["analogy", "kin", "queen", "woman", *vectors], capsys)
    assert "'KING': not among the 8 words; close spellings: king" in failed(
        ["analogy", "KING", "queen", "woman", *vectors, "--cased"], capsys
    )
    assert "need three" in failed(["analogy", "king", *vectors], capsys)
    assert "nothing is asked" in failed(["analogy", *vectors], capsys)
    assert "--vectors" in failed(["analogy", "king", "queen", "woman"], capsys)
    assert "questions.txt:4: has 2 words" in failed(
        ["analogy", *vectors, "--questions", files / "questions.txt", "--stop"], capsys
    )
    assert "none of its 3 questions" in failed(
        ["analogy", *vectors, "--questions", files / "questions.txt", "--top", 1], capsys
    )
    assert "--count: need at least 1" in failed(["analogy", "king", "queen", "woman", *vectors, "--count", 0], capsys)
    assert "method" in failed(["analogy", "king", "queen", "woman", *vectors, "--method", "4CosAdd"], capsys)


def test_a_word_is_spelt_as_the_vectors_are(capsys, tmp_path):
    words = ("caf\u00e9", *WORDS[1:])
    write_vectors(tmp_path / "v.txt", WordVectors(words, np.array(CORNERS, np.float32)))
    printed = said(["analogy", "CAFE\u0301", "queen", "woman", "--vectors", tmp_path / "v.txt"], capsys)
    assert "man" in printed and "is to queen" in printed


def test_what_cannot_be_printed_is_written(files, tmp_path, monkeypatch):
    def broken(*_):
        raise UnicodeEncodeError("ascii", "\u2501", 0, 1, "no such sign")

    monkeypatch.setattr("jaxembed.commands.printing.show", broken)
    flags = ["--vectors", str(files / "vectors.txt"), "--out", str(tmp_path / "found.json")]
    with pytest.raises(SystemExit):
        main(["analogy", "king", "queen", "woman", *flags])
    assert "man" in json.loads((tmp_path / "found.json").read_text())["nearest"]


def test_the_words_of_pairs_are_read_beyond_the_top(files, capsys, tmp_path):
    flags = ["--vectors", files / "vectors.txt", "--similarity", files / "pairs.txt", "--out", tmp_path / "x.json"]
    scores = []
    for top in (4, 8):
        printed = said(["analogy", *flags, "--top", top], capsys)
        scores.append(json.loads((tmp_path / "x.json").read_text())["similarity"])
    assert "6 words" not in printed and scores[0] == scores[1] and scores[0]["pairs"]["covered"] == 3
    printed = said(["analogy", "king", "queen", "woman", *flags, "--top", 4], capsys)
    assert "6 words x 3, of which the first 4 are searched" in printed and "boy" not in printed


def test_lemmas_with_a_suffix_and_a_column_of_scores_are_said(files, capsys, tmp_path):
    pairs = tmp_path / "lemmas.txt"
    pairs.write_text("king-n queen-n N 8\nstone-n bread-n N 9\nking-n stone-n N 1\n", encoding="utf-8")
    printed = said(["analogy", "--vectors", files / "vectors.txt", "--similarity", pairs, "--top", 1], capsys)
    assert "suffixes of lemmas (such as -n) taken off" in printed and "scores in column 4" in printed
    row = next(line for line in printed.splitlines() if "lemmas" in line and "│" in line)
    assert [cell.strip() for cell in row.split("│")][2:4] == ["3", "3"]


def test_a_file_of_too_many_pairs_is_sampled_and_said(files, capsys, tmp_path):
    rows = [f"{a}\t{b}/{b}{k}\n" for k in range(40) for a in WORDS for b in WORDS if a != b]
    (tmp_path / "large.txt").write_text("".join(rows), encoding="utf-8")
    printed = said(["analogy", "--vectors", files / "vectors.txt", "--questions", tmp_path / "large.txt"], capsys)
    assert "large: the questions of 200 of its 2,240 pairs, drawn" in printed
