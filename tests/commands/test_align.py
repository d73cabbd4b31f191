"""`jaxembed align` and `jaxembed explain` on small folders made here."""

import json
import re
import shutil

import numpy as np
import pytest

pytest.importorskip("tokenizers")
save_file = pytest.importorskip("safetensors.numpy").save_file
load_file = pytest.importorskip("safetensors.numpy").load_file

from jaxembed.__main__ import main  # noqa: E402
from jaxembed.analysis.alignment import align_model  # noqa: E402
from jaxembed.analysis.explain import explain_token, shared_contexts  # noqa: E402
from jaxembed.analysis.foreign import count_signatures, read_tables, read_text  # noqa: E402
from jaxembed.corpus import Document, byte_bpe, encode, open_corpus, python_documentation, word_level  # noqa: E402
from jaxembed.keep import to_json  # noqa: E402

VOCAB, WIDTH = 320, 24


def texts():
    text = python_documentation()[:60_000]
    return [text[start : start + 2_000] for start in range(0, len(text), 2_000)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A model whose tables are random images of the text's own signatures, and the text in its tokens."""
    root = tmp_path_factory.mktemp("align")
    tokenizer = byte_bpe(texts(), VOCAB)
    corpus = encode([Document(text, f"text:{k}", None) for k, text in enumerate(texts())], tokenizer, root / "corpus")
    sig, rng = count_signatures(corpus, None), np.random.default_rng(0)
    tensors = {}
    for name, kind in (("model.embed_tokens.weight", "next"), ("lm_head.weight", "previous")):
        table = 0.01 * rng.normal(size=(tokenizer.vocab + 8, WIDTH))  # rows beyond the tokenizer, as models have them
        rows = sig.rows(kind)
        table[sig.tokens] = rows.matrix @ rng.normal(size=(tokenizer.vocab, WIDTH))
        tensors[name] = table.astype(np.float32)
    model = root / "model"
    model.mkdir()
    tensors["model.layers.0.mlp.weight"] = np.zeros((2, 2), np.float32)
    save_file(tensors, model / "model.safetensors")
    tokenizer.save(model / "tokenizer.json")
    (model / "config.json").write_text("{}")
    text = root / "text.txt"
    text.write_text("\n".join(texts()), encoding="utf-8")
    return model, root / "corpus", text


def failed(arguments, capsys):
    """The one line that a command leaves with."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.startswith("jaxembed: "), error
    return error


def test_tables_are_read_from_whatever_architecture(folders, tmp_path):
    model, _, _ = folders
    tables = read_tables(model)
    assert tables.embed.shape == (VOCAB + 8, WIDTH) and not tables.tied
    gpt = np.arange(6.0, dtype=np.float32).reshape(3, 2)
    save_file({"transformer.wte.weight": gpt}, tmp_path / "model.safetensors")
    found = read_tables(tmp_path)
    assert found.tied and np.array_equal(found.embed, gpt) and found.tokenizer is None
    run = tmp_path / "run"
    (run / "model").mkdir(parents=True)
    (run / "model" / "config.json").write_text("{}")
    save_file({"transformer.wte.weight": gpt}, run / "model" / "model.safetensors")
    assert np.array_equal(read_tables(run).embed, gpt)


def test_own_signatures_stand_above_their_nulls_and_crosses(folders):
    model, corpus, _ = folders
    tables = read_tables(model)
    text, _ = read_text(tables, corpus)
    found = align_model(tables, count_signatures(text, 120), permutations=19)
    for row in found.own:
        cross = next(r.alignment.r_cos for r in found.rows if r.weights == row.weights and not r.own)
        assert row.alignment.r_cos > max(row.alignment.null_99, cross) + 0.1
        assert row.alignment.p_value == 0.05
    assert len(found.rows) == 6
    assert json.loads(json.dumps(to_json(found.record()), allow_nan=False))["tokens"] == found.tokens


def test_align_prints_and_writes(folders, tmp_path, capsys):
    model, corpus, text = folders
    flags = ["--tokens", "60", "--permutations", "19"]
    main(["align", str(model), str(corpus), *flags, "--out", str(tmp_path / "found.json")])
    printed = capsys.readouterr().out
    assert "W^E" in printed and "psi^prev, centred" in printed and "(cross)" in printed
    held = json.loads((tmp_path / "found.json").read_text())
    main(["align", str(model), str(text), *flags, "--out", str(tmp_path / "found.md"), "--window", "2"])
    assert "| W^U | psi^prev, centred |" in (tmp_path / "found.md").read_text()
    assert held["rows"][0]["r_cos"] > held["rows"][2]["r_cos"]


def test_explain_prints_parts_that_add_up(folders, capsys, tmp_path):
    model, corpus, _ = folders
    tables = read_tables(model)
    text, tokenizer = read_text(tables, corpus)
    sig = count_signatures(text, 120)
    token = int(sig.tokens[5])
    found = explain_token(tables, text, sig, token, top=4, contexts=text.vocab)
    assert set(found) == {"next", "previous"}
    for explanation in found.values():
        for listed in (explanation.by_weights, explanation.by_signature, explanation.unexplained):
            assert len(listed) == 4 and token not in {neighbour.token for neighbour in listed}
            for neighbour in listed:
                assert neighbour.parts.sum() == pytest.approx(neighbour.signature, abs=1e-10)
        order = [neighbour.weights for neighbour in explanation.by_weights]
        assert order == sorted(order, reverse=True)
        residuals = [neighbour.residual for neighbour in explanation.unexplained]
        assert residuals == sorted(residuals, reverse=True)
    shown = tokenizer.token(token)
    main(["explain", str(model), str(corpus), shown, "--tokens", "80", "--top", "3", "--out", str(tmp_path / "one.md")])
    assert "nearest by next-token signature" in capsys.readouterr().out
    assert "cannot explain" in (tmp_path / "one.md").read_text()


def test_one_document_has_no_halves_and_its_reliability_is_undefined(folders, tmp_path, capsys):
    model, _, text = folders
    written = tmp_path / "explained.json"
    main(["explain", str(model), str(text), " the", "--tokens", "80", "--top", "2", "--out", str(written)])
    assert "undefined" in capsys.readouterr().out
    assert json.loads(written.read_text(encoding="utf-8"))["next"]["reliability"] == "undefined"


def test_residuals_and_neighbours_equal_slow_ones(folders):
    model, corpus, _ = folders
    tables = read_tables(model)
    text, _ = read_text(tables, corpus)
    sig = count_signatures(text, 60)
    place = 7
    found = explain_token(tables, text, sig, int(sig.tokens[place]), top=59)["next"]
    sides = []
    for rows in (tables.embed[sig.tokens].astype(np.float64), sig.rows("next").dense()):
        unit = rows / np.linalg.norm(rows, axis=1)[:, None]
        sides.append(unit @ unit.T)
    upper = np.triu_indices(60, 1)
    slope, at_zero = np.polyfit(sides[1][upper], sides[0][upper], 1)
    residual = (sides[0][place] - slope * sides[1][place] - at_zero) / sides[0][upper].std()
    got = {neighbour.token: neighbour.residual for neighbour in found.by_weights}
    for other, token in enumerate(sig.tokens):
        if other != place:
            assert got[int(token)] == pytest.approx(residual[other], abs=1e-5)


def test_contexts_of_two_rows():
    sig_rows = count_signatures(
        encode([Document("a b d a c a b e d c e a", "x", None)] * 3, word_level(["a b c d e"], 7)), None
    ).rows("next")
    dense = sig_rows.dense()
    parts = shared_contexts(sig_rows, 0, 1)
    cosine = dense[0] @ dense[1] / np.linalg.norm(dense[0]) / np.linalg.norm(dense[1])
    assert parts.sum() == pytest.approx(cosine)


def test_another_tokenizer_is_one_line(folders, tmp_path, capsys):
    model, _, text = folders
    other = word_level(texts(), 50)
    encode([Document(texts()[0], "text", None)], other, tmp_path / "other")
    assert "another tokenizer" in failed(["align", model, tmp_path / "other"], capsys)
    bare = tmp_path / "bare"
    bare.mkdir()
    save_file({"wte.weight": np.ones((10, 2), np.float32)}, bare / "model.safetensors")
    assert "holds no tokenizer.json" in failed(["align", bare, text], capsys)
    assert f"has {other.vocab} tokens and the model 10 rows" in failed(["align", bare, tmp_path / "other"], capsys)
    assert "no table named" in failed(["align", _without_tables(tmp_path), text], capsys)


EMBED, HEAD = "model.embed_tokens.weight", "lm_head.weight"
ROWS = np.arange(24.0, dtype=np.float32).reshape(8, 3)
UNTIED, TIED = ({"model_type": "llama", "tie_word_embeddings": tied} for tied in (False, True))
TABLES = {
    "packed": ({EMBED: ROWS.astype(np.uint32), HEAD: ROWS}, {}, f"tensor {EMBED} holds U32; quantised or packed"),
    "not finite": ({EMBED: ROWS, HEAD: ROWS * np.nan}, {}, f"tensor {HEAD} holds 24 number"),
    "without its head": ({EMBED: ROWS}, UNTIED, "no lm_head.weight or embed_out.weight, though by config.json"),
    "without its head by family": ({EMBED: ROWS}, {"architectures": ["LlamaForCausalLM"]}, "no lm_head.weight"),
    "a head only": ({HEAD: ROWS}, UNTIED, "no table named"),
    "two for one": ({EMBED: ROWS, HEAD: -ROWS}, TIED, "the two tables differ; say false"),
    "of other rows": ({EMBED: ROWS}, TIED | {"vocab_size": 9}, "embeds 8 tokens, but config.json says vocab_size 9"),
    "a size as text": ({EMBED: ROWS}, TIED | {"vocab_size": "8"}, "vocab_size must be an integer from 1"),
    "a flat head": ({EMBED: ROWS, HEAD: ROWS[:, 0]}, UNTIED, "not a language model"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables_are_not_believed_without_their_config(kind, tmp_path):
    tensors, config, said = TABLES[kind]
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=said) as error:
        read_tables(tmp_path)
    assert "\n" not in str(error.value) and str(tmp_path) in str(error.value)


def test_one_table_under_either_name_is_both(tmp_path):
    for name in (EMBED, HEAD, f"_orig_mod.{EMBED}"):
        save_file({name: ROWS}, tmp_path / "model.safetensors")
        (tmp_path / "config.json").write_text(json.dumps(TIED | {"vocab_size": 8}))
        found = read_tables(tmp_path)
        assert found.tied and np.array_equal(found.embed, ROWS)


def test_a_pad_beyond_the_rows_occurs_in_no_text(folders, tmp_path):
    model, _, text = folders
    shutil.copytree(model, tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    save_file({name: table[:VOCAB] for name, table in load_file(weights).items()}, weights)
    path = tmp_path / "model" / "tokenizer.json"
    parts, flags = json.loads(path.read_text()), dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    pad = {"id": VOCAB, "content": "[PAD]", **flags}
    path.write_text(json.dumps(parts | {"added_tokens": [*parts["added_tokens"], pad | {"special": True}]}))
    tables = read_tables(tmp_path / "model")
    corpus, tokenizer = read_text(tables, text)
    assert corpus.vocab == tokenizer.vocab == VOCAB + 1 > len(tables.embed)
    assert align_model(tables, count_signatures(corpus, 60), permutations=9).tokens == 60
    path.write_text(json.dumps(parts | {"added_tokens": [*parts["added_tokens"], pad | {"special": False}]}))
    with pytest.raises(ValueError, match=f"has {VOCAB + 1} tokens and the model {VOCAB} rows"):
        read_text(read_tables(tmp_path / "model"), text)


def _without_tables(tmp_path):
    folder = tmp_path / "none"
    folder.mkdir()
    save_file({"x": np.ones(2, np.float32)}, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--out", "x.txt"], "must end in .md or .json"),
        (["--top", "0"], "--top: need at least 1"),
        (["--budget", "0"], "--budget: need more than 0"),
        (["--tokens", "100000"], "different ones occur"),
    ],
)
def test_flags_that_do_not_fit_are_one_line(folders, capsys, flags, said):
    model, corpus, _ = folders
    assert said in failed(["align", model, corpus, *flags], capsys)


def test_an_unknown_token_is_one_line_with_close_ones(folders, capsys):
    model, corpus, _ = folders
    tokenizer, text = read_tables(model).tokenizer, open_corpus(corpus)
    spaced = next(
        name
        for name in (tokenizer.token(int(i)) for i in text.frequent(150))
        if re.fullmatch(r" [a-z]{3,}", name) and tokenizer.id(name[1:]) is None
    )
    error = failed(["explain", model, corpus, spaced[1:]], capsys)
    assert "unknown" in error and repr(spaced) in error
    assert "unknown" in failed(["explain", model, corpus, "zzzzzz"], capsys)
    unseen = int(np.flatnonzero(text.unigrams == 0)[0])
    assert "does not occur in the corpus" in failed(["explain", model, corpus, f"id:{unseen}"], capsys)
