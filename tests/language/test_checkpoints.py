"""The folder of a run: stopped and resumed it ends in the same bits; changed, foreign or damaged it says so."""

import json
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxembed import keep
from jaxembed.language import Pretraining, data_mesh, parameter_hash, pretrain, read_params, saved_steps, verify
from jaxembed.language.checkpoints import RunFolder

SETTINGS = Pretraining(steps=14, batch=8, length=16, learning_rate=1e-2, warmup=3, save_steps=(0, 1, 6, 12))


class Stop(Exception):
    pass


def stop_at(step):
    def progress(text, share):
        if round(share * SETTINGS.steps) >= step:
            raise Stop

    return progress


def the_embed(params):
    return {"embed": params["embed"]}


def train(model, corpus, out=None, **options):
    return pretrain(model, corpus, SETTINGS, held=corpus.select([0]), save=the_embed, out=out, peak=1.0, **options)


@pytest.fixture(scope="module")
def whole(model, corpus, tmp_path_factory):
    """An uninterrupted run and its folder."""
    out = tmp_path_factory.mktemp("whole") / "run"
    return train(model, corpus, out), out


def assert_same(one, other):
    np.testing.assert_array_equal(one.losses, other.losses)
    np.testing.assert_array_equal(one.held_losses, other.held_losses)
    np.testing.assert_array_equal(one.trajectory.ts, other.trajectory.ts)
    np.testing.assert_array_equal(one.trajectory.ys["embed"], other.trajectory.ys["embed"])
    for a, b in zip(jax.tree.leaves(one.params), jax.tree.leaves(other.params), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_folder_changes_no_bit_and_holds_what_was_saved(whole, model, corpus):
    run, out = whole
    assert_same(run, train(model, corpus))
    assert saved_steps(out) == (0, 1, 6, 12)
    for k, step in enumerate(SETTINGS.saves):
        np.testing.assert_array_equal(read_params(out, step)["embed"], run.trajectory.ys["embed"][k])
    with pytest.raises(ValueError, match=r"step: .* saved the steps 0, 1, 6, 12, not 5"):
        read_params(out, 5)


@pytest.mark.parametrize("stopped_at", [1, 10])
def test_a_stopped_run_ends_in_the_same_bits(whole, model, corpus, tmp_path, stopped_at):
    out = tmp_path / "run"
    with pytest.raises(Stop):
        train(model, corpus, out, remember_every=5, progress=stop_at(stopped_at))
    assert_same(train(model, corpus, out, resume=True, remember_every=5), whole[0])
    assert verify(out) == dict.fromkeys(SETTINGS.saves, True)
    assert len(list((out / "recovery").iterdir())) == 1


def test_a_finished_run_is_read_back_without_an_update(whole, model, corpus):
    run, out = whole
    told = []
    assert_same(train(model, corpus, out, resume=True, progress=lambda *given: told.append(given)), run)
    assert told == []


def test_what_a_kill_leaves_half_written_is_not_taken_for_whole(whole, model, corpus, tmp_path):
    run, out = whole[0], tmp_path / "run"
    shutil.copytree(whole[1], out)
    for name in ("recovery/14", "checkpoints/12"):  # as if killed while these were written
        (out / name).rename((out / name).parent / f".{(out / name).name}.part")
    (out / ".manifest.json.1.ab.part").write_text('{"0": {"sha')
    assert_same(train(model, corpus, out, resume=True), run)
    assert verify(out) == dict.fromkeys(SETTINGS.saves, True)


def test_a_kill_before_anything_was_written_is_resumed_too(whole, model, corpus, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / ".run.json.1.ab.part").write_text("{")
    assert_same(train(model, corpus, out, resume=True), whole[0])


def test_a_changed_run_is_not_resumed(whole, model, corpus):
    out = whole[1]

    def resume(model=model, corpus=corpus, settings=SETTINGS, **options):
        pretrain(model, corpus, settings, held=corpus.select([0]), save=the_embed, out=out, resume=True, **options)

    with pytest.raises(ValueError, match=r"settings.learning_rate: was 0.01 in .*run and is 0.02 now; resume with"):
        resume(settings=replace(SETTINGS, learning_rate=0.02))
    with pytest.raises(ValueError, match=r"model.norm_floor: was 1e-06"):
        resume(model=replace(model, norm_floor=1e-5))
    with pytest.raises(ValueError, match=r"^corpus: was"):
        resume(corpus=corpus.shuffled(0))
    with pytest.raises(ValueError, match=r"^shard: was data in .* and is full now"):
        resume(mesh=data_mesh(1), shard="full")
    with pytest.raises(ValueError, match="start: was drawn"):
        resume(params0=read_params(out, 12))
    with pytest.raises(ValueError, match=r"save: .* kept something else at step 0"):
        pretrain(model, corpus, SETTINGS, held=corpus.select([0]), out=out, resume=True)


@pytest.mark.parametrize("name", ["jax", "jaxlib", "device"])
def test_a_run_made_by_another_version_or_device_is_not_resumed(whole, model, corpus, tmp_path, name):
    out = tmp_path / "run"
    shutil.copytree(whole[1], out)
    record = keep.read_record(out / "run.json")
    made = record["made_by"] if name == "device" else record["made_by"]["versions"]
    here, made[name] = made[name], "other"
    keep.write_record(out / "run.json", record)
    with pytest.raises(ValueError, match=rf"^{name}: other made the run in .* this is {here}, .* with {name} other"):
        train(model, corpus, out, resume=True)


def test_more_devices_do_not_resume_a_run(whole, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(whole[1], out)
    identity = keep.read_record(out / "run.json")["run"]
    assert (identity["devices"], identity["processes"]) == (1, 1)
    RunFolder(out, identity, resume=True)
    for name in ("devices", "processes"):
        with pytest.raises(ValueError, match=f"^{name}: was 1 in .* and is 2 now"):
            RunFolder(out, identity | {name: 2}, resume=True)


def test_folders_with_something_in_them_are_refused(whole, model, corpus, tmp_path):
    with pytest.raises(ValueError, match=r"is not empty .* name another, resume or overwrite it"):
        train(model, corpus, whole[1])
    with pytest.raises(ValueError, match="overwrite, resume: choose one"):
        train(model, corpus, whole[1], resume=True, overwrite=True)
    (tmp_path / "thesis.tex").write_text("all of it")
    for options in ({}, {"overwrite": True}):
        with pytest.raises(ValueError, match=r"is not empty .thesis.tex.; name an empty or new folder"):
            train(model, corpus, tmp_path, **options)
    with pytest.raises(ValueError, match="holds no run to resume"):
        train(model, corpus, tmp_path, resume=True)
    with pytest.raises(ValueError, match="is a file"):
        train(model, corpus, tmp_path / "thesis.tex")
    assert (tmp_path / "thesis.tex").read_text() == "all of it"


def test_an_earlier_run_is_overwritten_on_demand(whole, model, corpus, tmp_path):
    out = tmp_path / "run"
    pretrain(model, corpus, replace(SETTINGS, steps=2, warmup=0, save_steps=(0, 2)), out=out)
    assert_same(train(model, corpus, out, overwrite=True), whole[0])
    assert saved_steps(out) == SETTINGS.saves


def test_verify_finds_the_set_that_was_changed(whole, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(whole[1], out)
    shutil.rmtree(out / "checkpoints" / "6")
    shutil.copytree(out / "checkpoints" / "12", out / "checkpoints" / "6")
    shutil.rmtree(out / "checkpoints" / "1")
    flip_the_largest_file(out / "checkpoints" / "12")
    assert verify(out) == {0: True, 1: False, 6: False, 12: False}


def flip_the_largest_file(folder):
    path = max((file for file in folder.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_the_hash_sees_names_shapes_types_and_bits():
    params = {"a": np.zeros(4, np.float32), "b": np.ones((2, 3))}
    one = parameter_hash(params)
    assert parameter_hash({"b": np.ones((2, 3)), "a": np.zeros(4, np.float32)}) == one
    others = [
        params | {"a": np.zeros(2, np.float64)},
        params | {"b": np.ones((3, 2))},
        params | {"b": np.nextafter(np.ones((2, 3)), 2)},
        {"a": params["a"], "c": params["b"]},
    ]
    assert len({one, *map(parameter_hash, others)}) == 5


def test_the_manifest_is_plain_to_read(whole):
    run, out = whole
    manifest = keep.read_record(out / "manifest.json")
    assert [entry["held_loss"] for entry in manifest.values()] == run.held_losses.tolist()
    record = json.loads((out / "run.json").read_text())
    assert record["run"]["settings"]["data_seed"] == 0 and "jax" in record["made_by"]["versions"]


def test_threads_that_differ_are_said_and_other_floats_refused(whole, model, corpus, tmp_path, caplog):
    out = tmp_path / "run"
    shutil.copytree(whole[1], out)
    record = keep.read_record(out / "run.json")
    record["made_by"]["cores"] += 7
    keep.write_record(out / "run.json", record)
    assert_same(train(model, corpus, out, resume=True), whole[0])
    assert len([line for line in caplog.messages if "another cores" in line]) == 1
    record["made_by"]["x64"] = not record["made_by"]["x64"]
    keep.write_record(out / "run.json", record)
    with pytest.raises(ValueError, match=r"^x64: "):
        train(model, corpus, out, resume=True)


@pytest.fixture(scope="module")
def stopped(model, corpus, tmp_path_factory):
    """A run stopped after its state at step 10, with three saved steps."""
    out = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.raises(Stop):
        train(model, corpus, out, remember_every=5, progress=stop_at(12))
    return out


def test_damage_anywhere_is_refused_or_harmless(whole, stopped, model, corpus, tmp_path):
    """A bit flipped, a file cut or emptied at random places: one line, or the bits of the unbroken run."""
    files = sorted(path.relative_to(stopped) for path in stopped.rglob("*") if path.is_file())
    assert {path.parts[0] for path in files} >= {"run.json", "manifest.json", "recovery", "kept", "checkpoints"}
    harmless, draws = 0, np.random.default_rng(0)
    cases = [(name, how) for name in files for how in ("flip", "cut", "empty") if name.parts[0] != "checkpoints"]
    for i, (name, how) in enumerate(cases):
        out = tmp_path / str(i)
        shutil.copytree(stopped, out)
        damage(out / name, how, draws)
        try:
            resumed = train(model, corpus, out, resume=True, remember_every=50)
        except ValueError as error:
            assert "\n" not in str(error) and str(out) in str(error), (name, how, error)
            continue
        harmless += 1
        assert_same(resumed, whole[0])
    assert harmless < len(cases) / 2


def test_damaged_parameters_are_refused_or_as_written(whole, stopped, tmp_path):
    out, draws = tmp_path / "run", np.random.default_rng(0)
    shutil.copytree(stopped, out)
    hashed = {step: parameter_hash(read_params(out, step)) for step in saved_steps(out)}
    files = sorted(path for path in (out / "checkpoints" / "6").rglob("*") if path.is_file())
    for path in files:
        before = path.read_bytes()
        for how in ("flip", "cut", "empty"):
            damage(path, how, draws)
            try:
                assert parameter_hash(read_params(out, 6)) == hashed[6]
            except ValueError as error:
                assert "checkpoints/6" in str(error) and "\n" not in str(error)
            path.write_bytes(before)


def damage(path, how, draws):
    content = bytearray(path.read_bytes())
    if how == "flip" and content:
        content[draws.integers(len(content))] ^= 1 << int(draws.integers(8))
    path.write_bytes({"flip": content, "cut": content[: int(draws.integers(len(content) + 1))], "empty": b""}[how])


def test_an_older_state_is_taken_where_the_newest_is_damaged(whole, stopped, model, corpus, tmp_path, caplog):
    out = tmp_path / "run"
    shutil.copytree(stopped, out)
    newest = max(int(path.name) for path in (out / "recovery").iterdir())
    shutil.copytree(out / "recovery" / str(newest), out / "recovery" / str(newest + 1))
    flip_the_largest_file(out / "recovery" / str(newest + 1))
    assert_same(train(model, corpus, out, resume=True), whole[0])
    assert "an older state is looked for" in caplog.text
    flip_the_largest_file(out / "recovery" / "14")
    with pytest.raises(ValueError, match=r"recovery/14/.* is not what was written, .* overwrite trains it again"):
        train(model, corpus, out, resume=True)
