"""`jaxembed pretrain`: a run, a stopped and resumed one, its folder read by others, one line for every bad input."""

import json
import subprocess
import sys

import jax
import numpy as np
import pytest

pytest.importorskip("tokenizers")
pytest.importorskip("safetensors")

from jaxembed.__main__ import main
from jaxembed.commands.pretrain import DecoderShape, decoder_of_flags
from jaxembed.corpus import Document, encode, open_corpus, word_level
from jaxembed.keep import read_record, write_record
from jaxembed.language import held_out_loss, parameter_hash, read_params
from jaxembed.models.hugging_face import read_model

SIZES = ["--width", "16", "--heads", "2", "--layers", "1", "--mlp-width", "32"]
SHORT = ["--steps", "12", "--batch", "8", "--length", "16", "--warmup", "3", "--save-steps", "0", "5", "12"]


def run(capsys, *words) -> tuple[int, str, str]:
    code = 0
    try:
        main(["pretrain", *map(str, words)])
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    out = tmp_path_factory.mktemp("text") / "corpus"
    random = np.random.default_rng(0)
    texts = [" ".join(f"w{i}" for i in random.integers(0, 40, 60)) for _ in range(80)]
    encode([Document(text, f"text:{i}", None) for i, text in enumerate(texts)], word_level(texts, 40), out)
    return out


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "whole"
    main(["pretrain", str(corpus), "--out", str(out), *SIZES, *SHORT])
    return out


def test_a_run_leaves_a_model_that_others_read_and_a_curve(trained, corpus):
    model, params = read_model(trained / "model")
    assert (model.width, model.layers, model.qkv_bias, model.tied) == (16, 1, True, True)
    assert parameter_hash(jax.tree.map(np.asarray, params)) == parameter_hash(read_params(trained, 12))
    assert (trained / "model" / "tokenizer.json").read_bytes() == (corpus / "tokenizer.json").read_bytes()
    assert json.loads((trained / "model" / "config.json").read_text())["eos_token_id"] == open_corpus(corpus).end_token
    with np.load(trained / "curve.npz") as curve:
        assert curve["losses"].shape == (12,) and curve["save_steps"].tolist() == [0, 5, 12]
        _, held = open_corpus(corpus).split(int(0.05 * open_corpus(corpus).tokens))
        ours = held_out_loss(model, params, held, 16, 8)
        np.testing.assert_allclose(curve["held_losses"][-1], ours, rtol=1e-6)


def test_it_says_what_it_will_take_and_what_came_out(capsys, corpus, tmp_path):
    code, told, errors = run(capsys, corpus, "--out", tmp_path / "a", *SIZES, *SHORT, "--held-out-tokens", "0")
    assert (code, errors) == (0, "")
    assert "nothing to resume" not in told
    for part in ("parameters; 1,536 tokens to predict", "GiB of arrays", "training loss", "model:"):
        assert part in told
    assert "held-out loss" not in told


def test_a_finished_run_is_resumed_without_harm_and_a_changed_one_refused(capsys, trained, corpus):
    weights = (trained / "model" / "model.safetensors").read_bytes()
    assert run(capsys, corpus, "--out", trained, *SIZES, *SHORT, "--resume")[0] == 0
    assert (trained / "model" / "model.safetensors").read_bytes() == weights
    code, _, error = run(capsys, corpus, "--out", trained, *SIZES, *SHORT, "--resume", "--learning-rate", "0.5")
    assert code == 2 and error.startswith("jaxembed: settings.learning_rate: was 0.001 in") and error.count("\n") == 1
    code, _, error = run(capsys, corpus, "--out", trained, *SIZES, *SHORT, "--resume", "--held-out-tokens", "600")
    assert code == 2 and "jaxembed: held_out_tokens: was 484 in" in error
    code, _, error = run(capsys, corpus, "--out", trained, *SIZES, *SHORT)
    assert code == 2 and "is not empty" in error


def test_resuming_nothing_starts_and_says_so(capsys, corpus, tmp_path):
    out = tmp_path / "none"
    code, told, _ = run(
        capsys, corpus, "--out", out, *SIZES, "--steps", "2", "--batch", "8", "--length", "16", "--resume"
    )
    assert code == 0 and f"nothing to resume in {out}; starting" in told and (out / "model").exists()


@pytest.mark.slow
def test_a_run_starts_from_a_model_on_disk(capsys, trained, corpus, tmp_path):
    assert run(capsys, corpus, "--out", tmp_path / "b", *SHORT, "--init-from", trained / "model")[0] == 0
    assert parameter_hash(read_params(tmp_path / "b", 0)) == parameter_hash(read_params(trained, 12))


def test_a_start_that_does_not_fit_is_refused(capsys, trained, corpus, tmp_path):
    start, other = trained / "model", tmp_path / "other"
    code, _, error = run(capsys, corpus, "--out", tmp_path / "c", *SIZES, *SHORT, "--init-from", start)
    assert code == 2 and "--width: the model of --init-from has its own" in error
    encode([Document("a b c d " * 50, f"text:{i}", None) for i in range(30)], word_level(["a b c d"], 4), other)
    code, _, error = run(capsys, other, "--out", tmp_path / "c", *SHORT, "--init-from", start)
    assert code == 2 and "has another tokenizer than the corpus" in error


def test_verify_reads_every_saved_set(capsys, trained, corpus, tmp_path):
    code, told, _ = run(capsys, corpus, "--out", trained, "--verify")
    assert code == 0 and told.split("\n")[:3] == [f"step {step}: as written" for step in (0, 5, 12)]
    manifest = trained / "manifest.json"
    before = manifest.read_text()
    entries = read_record(manifest)
    write_record(manifest, entries | {"5": entries["5"] | {"sha256": "0" * 64}})
    code, told, error = run(capsys, corpus, "--out", trained, "--verify")
    manifest.write_text(before)
    assert code == 2 and "step 5: CHANGED" in told and "was changed at step 5; --overwrite trains it again" in error
    code, _, error = run(capsys, corpus, "--out", tmp_path, "--verify")
    assert code == 2 and "holds no saved parameters" in error


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--widht", "8"], "--width"),
        (["--steps", "0"], "steps: must be at least 1"),
        (["--architecture", "gpt2", "--kv-heads", "1"], "--kv-heads: gpt2 has one for every head"),
        (["--heads", "3", "--width", "16"], "heads: 3 heads cannot share width 16"),
        (["--length", "100000"], "length: a sequence needs 100001 tokens"),
        (["--held-out-tokens", "100000"], "held_out_tokens: 100000 of"),
        (["--held-out-tokens", "100000"], "; --held-out-tokens 0 holds out none"),
        (["--devices", "3", "--processes", "2"], "--devices: 3 cannot be divided over 2 processes"),
    ],
)
def test_what_does_not_fit_is_one_line(capsys, corpus, tmp_path, words, line):
    code, _, error = run(capsys, corpus, "--out", tmp_path / "x", *words)
    assert code == 2 and line in error and error.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_a_folder_without_a_corpus_is_one_line(capsys, tmp_path):
    code, _, error = run(capsys, tmp_path, "--out", tmp_path / "x")
    assert code == 2 and "holds no encoded corpus" in error


def test_flags_say_the_architecture():
    ours = decoder_of_flags(DecoderShape(width=64, kv_heads=1), 32)
    assert (ours.heads, ours.kv_heads, ours.mlp_width, ours.qkv_bias, ours.tied) == (2, 1, 192, True, True)
    llama = decoder_of_flags(DecoderShape(architecture="llama", width=64, tied="yes"), 32)
    assert (llama.qkv_bias, llama.tied, llama.kv_heads) == (False, True, 2)
    gpt2 = decoder_of_flags(DecoderShape(architecture="gpt2", width=64, tied="no"), 32)
    assert (gpt2.positions, gpt2.max_positions, gpt2.mlp_width, gpt2.tied) == ("learned", 32, 256, False)


@pytest.mark.slow
def test_devices_share_the_run_out(trained, corpus, tmp_path):
    out = tmp_path / "shared"
    command = [sys.executable, "-m", "jaxembed", "pretrain", str(corpus), "--out", str(out), *SIZES, *SHORT]
    subprocess.run([*command, "--devices", "4", "--shard", "full"], check=True, timeout=1200, capture_output=True)
    with np.load(out / "curve.npz") as shared, np.load(trained / "curve.npz") as alone:
        np.testing.assert_allclose(shared["losses"], alone["losses"], rtol=1e-5)


@pytest.mark.parametrize(
    ("coordinator", "process", "message"),
    [
        ("nonsense", "0", "--coordinator: needs ADDRESS:PORT"),
        ("host:port", "1", "--coordinator: needs ADDRESS:PORT"),
        ("127.0.0.1:99999", "1", "--coordinator: needs ADDRESS:PORT"),
        ("127.0.0.1:9", "2", "--process: must be 0 to 1, got 2"),
        ("127.0.0.1:9", "1", "--coordinator: nobody answers at 127.0.0.1:9 (Connection refused)"),
    ],
)
def test_a_coordinator_that_is_none_or_silent_is_one_line(tmp_path, capsys, monkeypatch, coordinator, process, message):
    monkeypatch.setattr("jaxembed.commands.pretrain.ANSWER", 0.3)
    words = ["--coordinator", coordinator, "--processes", "2", "--process", process]
    with pytest.raises(SystemExit) as stop:
        main(["pretrain", str(tmp_path), *words])
    told = capsys.readouterr().err
    assert stop.value.code == 2 and message in told and told.count("\n") == 1
