"""`jaxembed senses` on a model and sentences made here; what cannot be read ends in one line."""

import json

import jax
import numpy as np
import pytest

pytest.importorskip("safetensors")

from jaxembed.commands.senses import run
from jaxembed.corpus import word_level
from jaxembed.models import qwen2
from jaxembed.models.hugging_face import write_model

LEFT = {"0": "money and loans of the", "1": "water and boats by the"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An untrained decoder, and sentences whose left context gives the sense away."""
    root = tmp_path_factory.mktemp("senses")
    rng, rows, gold = np.random.default_rng(0), [], []
    for k in range(80):
        label = "01"[k % 2]
        left = rng.permutation(LEFT[label].split())[:3].tolist()
        rows.append(f"3\t{' '.join(left)} bank {rng.choice(['is', 'was'])}")
        gold.append(label)
    (root / "bank.data.txt").write_text("\n".join(rows) + "\n")
    (root / "bank.gold.txt").write_text("\n".join(gold) + "\n")
    tokenizer = word_level([row.split("\t")[1] for row in rows], 13)
    tokenizer.save(root / "tokenizer.json")
    model = qwen2(16, 1, 2, 2, 24, init_scale=0.2)
    params = model.init(jax.random.key(0), tokenizer.vocab, 8)
    write_model(root / "model", model, params, tokenizer_file=root / "tokenizer.json", dtype="float32")
    return root


def failed(*arguments):
    """The line that a command leaves with."""
    with pytest.raises((ValueError, OSError)) as stop:
        run([str(argument) for argument in arguments])
    assert "\n" not in str(stop.value)
    return str(stop.value)


def test_bad_input_is_said_in_one_line(made, tmp_path):
    file, model = made / "bank.data.txt", made / "model"
    assert "no such folder" in failed(tmp_path / "none", "bank", file)
    assert "no sentence of" in failed(model, "seal", file)
    assert "must be a folder or end in .data.txt" in failed(model, "bank", made / "bank.txt")
    assert "must end in .md or .json" in failed(model, "bank", file, "--out", "x.txt")
    assert "--train: need at least 16" in failed(model, "bank", file, "--train", 2)
    bad = tmp_path / "bad.data.txt"
    bad.write_text("0\tbank\n5\tby the bank\n")
    (tmp_path / "bad.gold.txt").write_text("0\n1\n")
    assert "bad.data.txt:2: position 5 is past the sentence of 3 tokens" in failed(model, "bank", bad)
    assert "has 0 of 2 senses" in failed(model, "bank", bad, "--on-error", "skip")


def test_a_word_outside_the_vocabulary_offers_close_ones(made, tmp_path):
    rows = (made / "bank.data.txt").read_text().replace("bank", "banks")
    (tmp_path / "b.data.txt").write_text(rows)
    (tmp_path / "b.gold.txt").write_text((made / "bank.gold.txt").read_text())
    assert "close spellings: bank" in failed(made / "model", "banks", tmp_path / "b.data.txt")


@pytest.mark.slow
def test_senses_are_read_and_written(made, tmp_path, capsys):
    out = tmp_path / "found.json"
    arguments = [str(made / "model"), "bank", str(made / "bank.data.txt"), "--layers", "0", "1"]
    run([*arguments, "--out", str(out)])
    printed = capsys.readouterr().out
    assert "gain over static" in printed and "separation" in printed and "largest head" in printed
    assert "block 1" in printed and "last norm" not in printed.split("by depth")[1].split("A decoder")[0]
    found = json.loads(out.read_text())
    assert found["static"] == 0.5 and found["accuracy"]["trained"]["word"][0] == 0.5
    assert found["accuracy"]["trained"]["word"][1] > 0.8, "a bag of left words tells, and random weights carry it"
    assert "--layers: the model has depths 0 to 2, not 7" in failed(*arguments[:3], "--layers", 7, "--no-attention")
