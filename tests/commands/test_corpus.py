"""`jaxembed corpus` end to end, and one line for whatever a user may get wrong."""

import gzip
import json
import sys

import pytest

from jaxembed.__main__ import main
from jaxembed.corpus import encode, open_corpus, open_tokenizer

ROWS = [{"text": f"the cat {n} sat on the mat", "meta": {"pile_set_name": "AB"[n % 2]}} for n in range(20)]


def run(*arguments):
    try:
        main(["corpus", *map(str, arguments)])
    except SystemExit as stop:
        return stop.code
    return 0


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in ROWS).encode()))
    return path


@pytest.fixture
def damaged(tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text('{"text": "the cat"}\n{"text": \n{"text": ""}\n{"text": "the dog"}\n')
    return path


def test_words(tmp_path, file, capsys):
    assert run(file, "--tokenizer", "word", "--vocab-size", 7, "--out", tmp_path / "c") == 0
    corpus, shown = open_corpus(tmp_path / "c"), capsys.readouterr().out
    assert len(corpus) == 20 and corpus.tokens == 20 * 8 and corpus.subsets == ("A", "B")
    assert corpus.facts["paths"] == [str(file)] and corpus.facts["tokenizer"] == "whole words, 7 tokens"
    for said in (
        "20 documents, 160 tokens; 0 damaged",
        "GiB of memory",
        "MiB on disk",
        corpus.hash,
        "unknown tokens: 12.50%",
    ):
        assert said in shown


def test_bpe_of_one_subset_then_the_same_tokenizer_for_the_other(tmp_path, file):
    pytest.importorskip("tokenizers")
    assert run(file, "--vocab-size", 265, "--subset", "A", "--out", tmp_path / "a") == 0
    assert run(file, "--tokenizer", tmp_path / "a", "--subset", "B", "--out", tmp_path / "b") == 0
    one, other = open_corpus(tmp_path / "a"), open_corpus(tmp_path / "b")
    assert one.tokenizer_hash == other.tokenizer_hash and one.hash != other.hash
    texts = [open_tokenizer(tmp_path / "b").decode(other.document(k)[:-1]) for k in range(len(other))]
    assert texts == [row["text"] for row in ROWS[1::2]]


def test_damage_stops_or_is_counted_shown_and_kept(tmp_path, damaged, capsys):
    options = ["--tokenizer", "word", "--vocab-size", 4, "--out", tmp_path / "c"]
    assert run(damaged, *options) == 2
    assert "bad.jsonl:2: is not JSON" in capsys.readouterr().err and not (tmp_path / "c").exists()
    assert run(damaged, *options, "--on-error", "skip") == 0
    shown = capsys.readouterr().out
    assert "2 damaged rows skipped" in shown and "bad.jsonl:3" in shown
    kept = open_corpus(tmp_path / "c").facts["damage"]
    assert kept["skipped"] == 2 and [place.rsplit(":", 1)[1] for place, _ in kept["places"]] == ["2", "3"]


def test_cuts_inside_long_documents_are_shown(tmp_path, file, capsys, monkeypatch):
    options = [file, "--tokenizer", "word", "--vocab-size", 7]
    assert run(*options, "--out", tmp_path / "a") == 0 and "cut:" not in capsys.readouterr().out
    monkeypatch.setattr(sys.modules[encode.__module__], "BATCH", 20)
    assert run(*options, "--out", tmp_path / "b") == 0
    assert "cut: 20 places inside long documents" in capsys.readouterr().out


def test_a_book_is_split_by_cutting_it(tmp_path):
    (tmp_path / "book.txt").write_text("the cat sat on the mat " * 100)
    assert run(tmp_path / "book.txt", "--tokenizer", "word", "--vocab-size", 7, "--out", tmp_path / "c") == 0
    train, held = open_corpus(tmp_path / "c").split(30)
    assert (train.tokens, held.tokens) == (571, 30)


def test_a_folder_is_replaced_only_when_told(tmp_path, file, capsys):
    options = [file, "--tokenizer", "word", "--vocab-size", 7, "--out", tmp_path / "c"]
    assert run(*options, "--limit-tokens", 9) == 0
    assert len(open_corpus(tmp_path / "c")) == 2 and "stopped at --limit-tokens" in capsys.readouterr().out
    assert run(*options) == 2 and "is not empty" in capsys.readouterr().err
    assert run(*options, "--overwrite") == 0 and len(open_corpus(tmp_path / "c")) == 20


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "paths"),
        (["missing"], "'missing' does not exist"),
        (["FILE", "--subset", "C", "--tokenizer", "word"], "no document of 'C'; found: A, B"),
        (["FILE", "--tokenizer", "word"], "4096 asked; 25 distinct words"),
        (["FILE", "--tokenizer", "bpe"], "4096 asked, but the texts give only"),
        (["FILE", "--tokenizer", "nowhere.json"], "'nowhere.json' does not exist"),
        (["FILE", "--tokenizer", "FILE"], "binary file"),
        (["FILE", "--tokenizer", "x.json", "--vocab-size", "9"], "--vocab-size: the tokenizer of a file"),
        (["FILE", "--on-error", "ignore"], "--on-error"),
        (["FILE", "--text-field", "body", "--tokenizer", "word"], "has no field 'body'"),
        (["FILE", "--limit-tokens", "0"], "--limit-tokens"),
        (["FILE", "--train-megabytes", "0"], "--train-megabytes"),
        (["FILE", "--shuffle"], "--shuffle"),
        (["FILE", "--out", "FILE"], "is a file; name a folder"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path, file, capsys, arguments, message):
    if "bpe" in arguments:
        pytest.importorskip("tokenizers")
    arguments = [str(file) if word == "FILE" else word for word in arguments]
    assert run(*arguments, *([] if "--out" in arguments else ["--out", tmp_path / "c"])) == 2
    said = capsys.readouterr().err
    assert message in said and said.startswith("jaxembed: ") and said.count("\n") == 1
    assert not (tmp_path / "c").exists()
