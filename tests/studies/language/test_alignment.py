"""Alignment through training: its measures against slow routes, its store, and the study at size tiny."""

import gzip
import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.corpus import corpus_of
from jaxembed.language import Pretraining
from jaxembed.models import qwen2
from jaxembed.observables import r_cos
from jaxembed.statistics import count_neighbours
from jaxembed.studies import Run
from jaxembed.studies.language import alignment as study
from jaxembed.studies.language import alignment_texts
from jaxembed.studies.language.alignment import SETTINGS, STUDY
from jaxembed.studies.language.alignment_texts import BUILTIN, agreement, neighboured, pair_scores, read, text_of
from jaxembed.studies.language.alignment_training import AlignedDecoder, AlignedTraining, sum_over_contexts


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_agreement_is_r_cos():
    W, S = normal(30, 5), normal(30, 50, seed=1)
    W += S[:, :5]
    expected = float(r_cos(W.astype(np.float32), S.astype(np.float32)))
    assert agreement(pair_scores(W), pair_scores(S)) == pytest.approx(expected, abs=1e-5)
    assert agreement(pair_scores(W), pair_scores(-3 * W)) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("rows", [np.ones((6, 4)), np.eye(6), np.eye(6)[:5] * np.arange(5)[:, None]])
def test_agreement_with_what_does_not_vary_is_undefined(rows):
    assert np.isnan(agreement(pair_scores(rows), pair_scores(normal(len(rows), 3))))


def test_states_are_summed_by_token():
    model = qwen2(width=8, layers=1, heads=2, kv_heads=1, mlp_width=16, tied=False)
    params = model.init(jax.random.key(0), 7, 5)
    windows = np.random.default_rng(0).integers(0, 7, (6, 5)).astype(np.int32)
    place = np.minimum(np.arange(7), 3)
    sums = sum_over_contexts(model, params, windows, jnp.asarray(place), 4, batch=4)
    states = np.asarray(model.states(params, jnp.asarray(windows)))
    for slot in range(4):
        np.testing.assert_allclose(sums[:, slot], states[:, place[windows] == slot].sum(axis=1), rtol=1e-5, atol=1e-6)


def test_tokens_without_neighbours_are_passed_over():
    train = corpus_of(np.array([4, 1, 2, 1, 0, 4, 1, 2, 0, 4, 0, 3, 2, 0]), np.array([5, 9, 11, 14]), 5, end_token=0)
    counted = count_neighbours(train.ids, train.ends, 5)
    assert sorted(neighboured(train, counted, 2).tolist()) == [1, 2]  # 3 and 4 only begin documents
    with pytest.raises(ValueError, match="3 tokens with neighbours asked, 2 found"):
        neighboured(train, counted, 3)
    assert neighboured(train, counted, 1, unknown=1).tolist() == [2]


@pytest.fixture
def pile(tmp_path, monkeypatch):
    """A folder with one small subset whose documents are random words."""
    (tmp_path / "pile").mkdir()
    order, known = np.random.default_rng(0), [a + b for a in "abcdefgh" for b in "abcdefgh"]
    with gzip.open(tmp_path / "pile" / "letters.jsonl.gz", "wt") as file:
        for _ in range(40):
            row = {"text": " ".join(order.choice(known, 100)), "meta": {"pile_set_name": "Letters"}}
            file.write(json.dumps(row) + "\n")
    monkeypatch.setenv("JAXEMBED_DATA", str(tmp_path))


SMALL = {"vocab": 50, "frequent": 30, "held_out": 300, "shuffles": 3, "halvings": 2}


def test_a_text_of_the_pile(pile):
    text = text_of("letters", "words", **SMALL)
    assert len(text.tokens) == 30 and text.train.tokens > 3000 > text.held.tokens >= 300
    assert {name: rows.shape for name, rows in text.signatures.items()} == dict.fromkeys(
        ("next", "previous", "next plain", "previous plain"), (30, 50)
    )
    np.testing.assert_allclose(text.signatures["next plain"].sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(text.signatures["previous"].sum(axis=1), 0, atol=1e-5)
    assert text.shuffled["next"].shape == (3, 435) and text.halves["next"].shape == (4, 435)
    assert np.all(np.abs(text.reliability("next")) < 0.35)  # random words have no signature of their own


def test_a_part_of_a_text_and_one_that_is_not_there(pile):
    found = read("letters")
    assert len(found) == 40 and len(read("letters", characters=1500)) == 6
    with pytest.raises(ValueError, match="there is no"):
        read("other")


def test_without_data_the_message_says_what_to_set(monkeypatch):
    monkeypatch.delenv("JAXEMBED_DATA", raising=False)
    with pytest.raises(ValueError, match="JAXEMBED_DATA: not set"):
        read("wikipedia_en")


def test_the_text_on_every_machine_is_cut_between_paragraphs(monkeypatch):
    paragraphs = [f"paragraph {number} " * 50 for number in range(40)]
    monkeypatch.setattr(alignment_texts, "python_documentation", lambda: "\n\n".join(paragraphs))
    found = read(BUILTIN)
    assert "\n\n".join(document.text for document in found) == "\n\n".join(paragraphs) and len(found) > 3
    assert len(read(BUILTIN, characters=5000)) == 2


def test_a_course_between_its_saves():
    values = {"steps": np.arange(3.0), "embed next": np.array([0.0, 0.5, 0.6])}
    decoder = AlignedDecoder(AlignedTraining(BUILTIN, "words", "llama"), values)
    assert decoder.at_share("embed next", 0.25) == pytest.approx(0.25) and decoder.last("embed next") == 0.6


def test_trainings_are_kept_by_their_name_and_shape(tmp_path, monkeypatch):
    """A folder serves trainings of several shapes: none is taken for another's."""
    made = []

    def measured(training, shape, read):
        made.append((training, shape.schedule.steps))
        zeros = np.zeros(2)
        return {"steps": np.arange(2.0), "held": zeros, "tokens per second": np.array(1.0)} | {
            f"{table} {name}": zeros for table in ("embed", "unembed") for name in ("next", "previous")
        }

    monkeypatch.setattr(study, "measured", measured)
    setting = replace(SETTINGS["tiny"], places=((BUILTIN, "words", "llama"),))
    again = replace(setting, backwards=True)
    longer = replace(setting, shape=replace(setting.shape, schedule=Pretraining(steps=7)))
    for each in (setting, again, longer):
        STUDY.run(each, Run(2, tmp_path))
    assert len(made) == len(set(made)) == 6


def test_every_training_has_its_shuffled_twin_and_texts_stay_together():
    trainings = SETTINGS["quick"].trainings(3)
    assert len(trainings) == len(set(trainings)) == len({training.name for training in trainings}) == 27
    places = [(training.subset, training.tokenizer) for training in trainings]
    assert len([place for place, before in zip(places, [None, *places], strict=False) if place != before]) == 6


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    pytest.importorskip("tokenizers")
    folder = tmp_path_factory.mktemp("decoders")
    setting = replace(SETTINGS["tiny"], tied=True)
    return STUDY.run(setting, Run(2, folder)), setting, folder


@pytest.mark.slow
def test_what_is_expected_of_every_decoder_holds_at_tiny(result, tends):
    held = {row.id for row in STUDY.evidence(result[0]) if tends(row)}
    # of two seeds, whose interval is wide, the smallest are compared
    assert held >= set(STUDY.ids) - {f"language-{name}{end}" for name in ("embed", "unembed") for end in ("", "-cross")}


@pytest.mark.slow
def test_a_tied_head_makes_both_tables_one(result):
    (tied,) = [decoder for training, decoder in result[0].decoders.items() if training.tied]
    np.testing.assert_array_equal(tied.values["embed next"], tied.values["unembed next"])


@pytest.mark.slow
def test_nothing_is_aligned_at_the_start_or_after_training_on_shuffled_text(result):
    for decoder in result[0].main:
        for name in ("embed next", "unembed previous"):
            assert abs(decoder.values[name][0]) < 0.1
            assert result[0].on_shuffled(decoder).last(name) < 0.5 * decoder.last(name)
            assert np.abs(decoder.values[f"{name} untrained"]).max() < 0.1


@pytest.mark.slow
def test_embedding_alone_is_the_table_and_layers_are_all_there(result):
    for decoder in result[0].main:
        depths = decoder.values["alone next"]
        assert depths.shape[1] == result[1].shape.layers + 2
        np.testing.assert_allclose(depths[:, 0], decoder.values["embed next"], atol=1e-5)


@pytest.mark.slow
def test_a_second_call_trains_nothing(result, monkeypatch):
    def refuse(*args):
        raise AssertionError("trained again")

    monkeypatch.setattr(study, "measured", refuse)
    again = STUDY.run(result[1], Run(2, result[2]))
    assert STUDY.tables(again)[0].rows == STUDY.tables(result[0])[0].rows
