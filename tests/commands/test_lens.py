"""`jaxembed lens` on a small model made here."""

import json
import shutil

import jax
import numpy as np
import pytest

pytest.importorskip("safetensors.numpy")

from jaxembed.__main__ import main
from jaxembed.analysis.lens import lens_logits
from jaxembed.corpus import byte_bpe, word_level
from jaxembed.models import qwen2
from jaxembed.models.hugging_face import write_model
from jaxembed.train import single_precision

TEXT = "the cat sat on the mat and the dog sat by the door while rain fell"
MODEL = qwen2(16, 2, 2, 2, 32, tied=False, max_positions=20, init_scale=0.3)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("lens")
    tokenizer = word_level([TEXT], 14)
    params = single_precision(MODEL.init(jax.random.key(0), tokenizer.vocab, 20))
    tokenizer.save(root / "tokenizer.json")
    write_model(root / "model", MODEL, params, tokenizer_file=root / "tokenizer.json")
    (root / "corpus.txt").write_text(f"{TEXT}\n\n" * 30, encoding="utf-8")
    return root / "model", root / "corpus.txt", params, tokenizer


def failed(arguments, capsys):
    """The one line that a command leaves with."""
    with pytest.raises(SystemExit) as stop:
        main(["lens", *(str(argument) for argument in arguments)])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.startswith("jaxembed: "), error
    return error


def test_what_is_written_is_what_the_model_says(folders, tmp_path, capsys):
    model, _, params, tokenizer = folders
    main(["lens", str(model), "the cat sat", "--out", str(tmp_path / "found.json"), "--last", "1", "--top", "2"])
    printed = capsys.readouterr().out
    assert "4. after 'sat'" in printed and "1. after" not in printed and "block 2" in printed
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["tokens"] == ["<|endoftext|>", "the", "cat", "sat"] and found["lens"] == "plain"
    ids = np.array([tokenizer.id(word) for word in found["tokens"]])
    logits = np.asarray(lens_logits(MODEL, params, jax.numpy.asarray(ids)[None]))
    for at, position in enumerate(found["positions"]):
        assert [cell["layer"] for cell in position["layers"]] == ["embedding", "block 1", "block 2"]
        for k, cell in enumerate(position["layers"]):
            best = np.argsort(-logits[k, 0, at])[:2]
            assert [name for name, _ in cell["top"]] == [tokenizer.token(id) for id in best]
            if at < 3:
                assert cell["rank"] == 1 + np.sum(logits[k, 0, at] > logits[k, 0, at, ids[at + 1]])
        assert position["layers"][-1]["divergence"] == 0 and position["layers"][0]["divergence"] > 0
    assert found["positions"][-1]["next"] is None and found["positions"][-1]["layers"][0]["rank"] is None


@pytest.mark.slow
def test_a_lens_is_learned_kept_and_used_again(folders, tmp_path, capsys):
    model, corpus, _, _ = folders
    kept, written = tmp_path / "lens.npz", [tmp_path / name for name in ("plain.json", "now.json", "again.json")]
    main(["lens", str(model), TEXT, "--out", str(written[0])])
    main(
        [
            "lens",
            str(model),
            TEXT,
            "--corpus",
            str(corpus),
            "--steps",
            "40",
            "--save",
            str(kept),
            "--out",
            str(written[1]),
        ]
    )
    main(["lens", str(model), TEXT, "--learned", str(kept), "--out", str(written[2])])
    plain, now, again = (json.loads(path.read_text())["positions"] for path in written)
    assert now == again
    for k in (0, 1):
        before, after = (np.mean([p["layers"][k]["divergence"] for p in found]) for found in (plain, now))
        assert after < 0.8 * before
    capsys.readouterr()


def test_bad_input_is_one_line(folders, tmp_path, capsys):
    model, corpus, _, _ = folders
    strange = failed([model, "the catt sat"], capsys)
    assert "not in the model's vocabulary of 14: 'catt'" in strange and "'cat'" in strange
    assert "text: holds no token" in failed([model, "..."], capsys)
    assert "text: holds no token" in failed([model, ""], capsys)
    assert "text: 21 tokens, and the model reads at most 20" in failed([model, "the " * 20], capsys)
    assert "choose one" in failed([model, "the", "--learned", "x", "--corpus", corpus], capsys)
    assert "--save: keeps a lens that is learned now" in failed([model, "the", "--save", "x"], capsys)
    assert "holds no lens" in failed([model, "the", "--learned", corpus], capsys)
    missing = [model, "the", "--corpus", corpus, "--save", tmp_path / "none" / "x"]
    assert "--save: there is no folder" in failed(missing, capsys)
    assert "--last: need at least 1" in failed([model, "the", "--last", "0"], capsys)
    assert "--top: need at least 1" in failed([model, "the", "--top", "0"], capsys)
    assert "must end in .md or .json" in failed([model, "the", "--out", "x.txt"], capsys)
    assert "no such folder" in failed([tmp_path / "none", "the"], capsys)
    (model / "tokenizer.json").rename(tmp_path / "aside.json")
    try:
        assert "holds no tokenizer.json" in failed([model, "the"], capsys)
    finally:
        (tmp_path / "aside.json").rename(model / "tokenizer.json")


def test_the_tokenizer_of_another_model_is_refused(folders, tmp_path, capsys):
    model, _, _, _ = folders
    shutil.copytree(model, tmp_path / "model")
    word_level([f"{TEXT} and then the snow came over all hills"], 20).save(tmp_path / "model" / "tokenizer.json")
    assert "it is another's" in failed([tmp_path / "model", "the hills"], capsys)


def bpe_model(folder, change):
    """A model whose tokenizer.json is changed after it was made, and its rows."""
    tokenizer = byte_bpe([TEXT] * 9, 270)
    parts = json.loads(tokenizer.content)
    change(parts)
    (folder / "changed.json").write_text(json.dumps(parts))
    params = single_precision(MODEL.init(jax.random.key(0), tokenizer.vocab, 20))
    write_model(folder / "model", MODEL, params, tokenizer_file=folder / "changed.json")
    return folder / "model"


def added(content, special=True):
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return lambda parts: parts["added_tokens"].append({"id": 270, "content": content, **flags, "special": special})


def test_a_tokenizer_with_an_added_pad_is_the_models_own(tmp_path, capsys):
    model = bpe_model(tmp_path, added("[PAD]"))
    main(["lens", str(model), "the [PAD]", "--top", "300", "--out", str(tmp_path / "found.json")])
    found = json.loads((tmp_path / "found.json").read_text())
    assert "[PAD]" not in found["tokens"] and len(found["positions"][0]["layers"][0]["top"]) == 270
    capsys.readouterr()


@pytest.mark.parametrize(("content", "special"), [("<tool>", False), ("<s>", True)])
def test_an_added_token_that_can_be_read_needs_a_row(content, special, tmp_path, capsys):
    model = bpe_model(tmp_path, added(content, special))
    assert f"270 rows, none for {content!r}; it is another's" in failed([model, "the"], capsys)


@pytest.mark.parametrize("weight", [np.nan, np.inf])
def test_a_weight_that_is_no_number_is_named_and_nothing_is_written(weight, folders, tmp_path, capsys):
    model, _, params, _ = folders
    broken = jax.tree.map(np.array, params)
    broken["blocks"]["layer0"]["mlp"]["down"][3, 2] = weight
    write_model(tmp_path / "model", MODEL, broken, tokenizer_file=model / "tokenizer.json")
    error = failed([tmp_path / "model", "the cat", "--out", tmp_path / "l.json"], capsys)
    assert "model.layers.0.mlp.down_proj.weight holds 1 number(s) that are not finite" in error
    assert not (tmp_path / "l.json").exists()


@pytest.mark.parametrize(("gib", "batch"), [(1.0, 8), (1e-6, 1)])
def test_learning_keeps_to_the_budget(folders, monkeypatch, gib, batch):
    from jaxembed.analysis import lens
    from jaxembed.commands import lens as command

    asked = []
    monkeypatch.setattr(lens, "fit_lens", lambda *args, **rest: (asked.append(args[3]), (None, None))[1])
    model, corpus, params, _ = folders
    command._lens(command.LensFlags(str(model), "the", corpus=corpus, budget=gib), MODEL, params, lambda *_: None)
    assert asked[0].batch == batch and asked[0].length == 20
