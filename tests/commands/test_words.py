"""`jaxembed words`: a text becomes a word2vec file with its scores; what cannot be used ends in one line."""

import gzip
import json

import numpy as np
import pytest

from jaxembed.__main__ import main
from jaxembed.commands.words import run
from jaxembed.words import read_vectors

PARTS = ("king", "queen", "man", "woman"), ("cat", "cats", "dog", "dogs")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A text of made-up sentences in two domains, analogy questions and pairs."""
    place = tmp_path_factory.mktemp("words")
    rng = np.random.default_rng(0)
    rows = [
        {"text": " ".join(rng.choice(PARTS[k % 2], 30)).title(), "meta": {"pile_set_name": ("Court", "Pets")[k % 2]}}
        for k in range(40)
    ]
    with gzip.open(place / "text.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    (place / "questions.txt").write_text(": family\nking queen man woman\nman woman king queen\nonly three words\n")
    (place / "pairs.txt").write_text("king\tqueen\t9\ncat\tdogs\t5\nking\tdog\t1\nx\ty\n")
    return place


def failed(arguments):
    """The line that a command leaves with."""
    with pytest.raises(ValueError, match=r".") as stop:
        run([str(argument) for argument in arguments])
    assert "\n" not in str(stop.value)
    return str(stop.value)


def test_a_text_becomes_scored_vectors(folder, capsys, tmp_path):
    main(["words", str(folder / "text.jsonl.gz"), "--out", str(tmp_path / "v.bin"), "--width", "4", "--window", "3",
          "--method", "lanczos", "--analogies", str(folder / "questions.txt"), "--similarity",
          str(folder / "pairs.txt")])  # fmt: skip
    printed = capsys.readouterr().out
    for said in ("1,200 words in 40 documents, lower-cased; 8 different", "window 3 on each side, dynamic",
                 "memory: at most", "family", "3CosAdd over 8 words", "3 of 3 pairs", "1 malformed row"):  # fmt: skip
        assert said in printed, said
    found = read_vectors(tmp_path / "v.bin")
    assert set(found.words) == {*PARTS[0], *PARTS[1]} and found.width <= 4
    kind, other = (found.matrix[[found.id(word) for word in part]].mean(axis=0) for part in PARTS)
    assert kind @ other < 0.1 * kind @ kind


def test_a_domain_and_a_model_are_chosen(folder, tmp_path, capsys):
    out = tmp_path / "cats.vec"
    run([str(folder / "text.jsonl.gz"), "--out", str(out), "--subset", "Pets", "--model", "ppmi", "--width", "2",
         "--method", "lanczos"])  # fmt: skip
    assert set(read_vectors(out).words) == set(PARTS[1])
    assert "ppmi, width 2" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("model", ["skip-gram", "qwem", "glove"])
def test_models_are_trained(folder, tmp_path, capsys, model):
    run([str(folder / "text.jsonl.gz"), "--out", str(tmp_path / "v.vec"), "--model", model, "--width", "4",
         "--epochs", "2"])  # fmt: skip
    assert read_vectors(tmp_path / "v.vec").matrix.shape == (8, 4)
    assert model in capsys.readouterr().out


def test_what_cannot_be_used_is_one_line(folder, tmp_path):
    text, out = folder / "text.jsonl.gz", tmp_path / "v.vec"
    assert "does not exist" in failed([tmp_path / "none", "--out", out])
    assert "--width: need at least 1" in failed([text, "--out", out, "--width", 0])
    assert "--epochs: mstar is not trained" in failed([text, "--out", out, "--epochs", 2])
    assert "--smoothing: need more than 0" in failed([text, "--out", out, "--model", "pmi", "--smoothing", 0])
    for model, flag, value in (("ppmi", "--negatives", 5), ("glove", "--negatives", 5), ("mstar", "--smoothing", 0.1),
                               ("glove", "--method", "lanczos")):  # fmt: skip
        assert f"{flag}: {model}" in failed([text, "--out", out, "--model", model, flag, value])
    assert "--negatives: need more than 0" in failed([text, "--out", out, "--negatives", "nan"])
    assert "is a folder" in failed([text, "--out", tmp_path])
    assert "no folder" in failed([text, "--out", tmp_path / "none" / "v.vec"])
    assert "no document of 'Zoo'" in failed([text, "--out", out, "--subset", "Zoo"])
    assert "no word stands 5000 times" in failed([text, "--out", out, "--min-count", 5000])
    assert "width: need 1..7" in failed([text, "--out", out])
    out.write_text("there")
    assert "exists" in failed([text, "--out", out])


def test_an_evaluation_that_covers_nothing_is_one_line(folder, tmp_path):
    (tmp_path / "others.txt").write_text(": far\nparis france rome italy\n")
    (tmp_path / "broken.txt").write_text("only three words\n")
    flags = ["--out", tmp_path / "v.vec", "--width", 3, "--method", "lanczos", "--overwrite"]
    text = folder / "text.jsonl.gz"
    assert "none of its 1 questions" in failed([text, *flags, "--analogies", tmp_path / "others.txt"])
    assert "broken.txt" in failed([text, *flags, "--analogies", tmp_path / "broken.txt"])
