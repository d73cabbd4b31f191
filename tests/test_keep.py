"""Files that are whole or not there, folders likewise, numbers computed once, and identities that differ."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.keep import (
    Damaged,
    Lock,
    Pieces,
    check_made_alike,
    check_sums,
    claim,
    difference,
    digest,
    from_json,
    kept_arrays,
    kept_json,
    leaves_of,
    read_arrays,
    read_json,
    read_record,
    sweep,
    to_json,
    tree_of,
    whole,
    whole_folder,
    write_arrays,
    write_json,
    write_record,
    write_sums,
)


def test_a_file_that_fails_half_way_leaves_the_one_before_and_nothing_else(tmp_path):
    path = tmp_path / "numbers.json"
    write_json(path, {"loss": 1.0})
    with pytest.raises(KeyboardInterrupt), whole(path) as file:
        file.write(b"{")
        raise KeyboardInterrupt
    assert read_json(path) == {"loss": 1.0} and list(tmp_path.iterdir()) == [path]


def test_a_full_disk_names_the_file_and_leaves_none(tmp_path):
    with pytest.raises(OSError, match=r"No space left on device: '.*numbers\.json'"), whole(tmp_path / "numbers.json"):
        raise OSError(28, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_a_folder_takes_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / "corpus"
    for content in ("first", "second"):
        with whole_folder(path) as made:
            made.mkdir()
            (made / "text").write_text(content)
    with pytest.raises(KeyboardInterrupt), whole_folder(path) as made:
        made.mkdir()
        raise KeyboardInterrupt
    assert (path / "text").read_text() == "second" and list(tmp_path.iterdir()) == [path]
    with whole_folder(path, writes=False) as made:
        assert made.parent == tmp_path and not made.exists()


def test_leftovers_of_a_kill_are_swept(tmp_path):
    (tmp_path / "saved" / ".6.part" / ".7.part").mkdir(parents=True)
    (tmp_path / ".run.json.1.ab.part").write_text("{")
    write_json(tmp_path / "run.json", 1)
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["run.json", "saved"]


def test_what_is_no_json_or_no_arrays_is_named(tmp_path):
    path = tmp_path / "damaged"
    path.write_text("{")
    with pytest.raises(ValueError, match="damaged: is not readable JSON"):
        read_json(path)
    with pytest.raises(ValueError, match="damaged: cannot be read as arrays"):
        read_arrays(path)


def test_undefined_and_infinite_numbers_come_back():
    value = {"a": [float("nan"), float("inf")], "b": {"c": jnp.array([-jnp.inf, 1.0])}, "d": (None, True, "text")}
    back = from_json(to_json(value))
    assert np.isnan(back["a"][0]) and back["a"][1] == np.inf
    assert back["b"]["c"] == [-np.inf, 1.0] and back["d"] == [None, True, "text"]


@pytest.mark.parametrize("kept", [kept_json, kept_arrays])
def test_kept_numbers_are_computed_once_for_one_identity(tmp_path, kept):
    made = []

    def compute():
        made.append(1)
        return {"x": np.array([0.1, np.nan])}

    both = [kept(tmp_path / "folder", "name", identity, compute) for identity in ((1, "a"), (1, "a"))]
    np.testing.assert_array_equal(both[0]["x"], both[1]["x"])
    assert len(made) == 1
    kept(tmp_path / "folder", "name", (2, "a"), compute)
    kept(None, "name", (2, "a"), compute)
    assert len(made) == 3


def test_numbers_of_another_machine_are_computed_anew(tmp_path):
    kept_json(tmp_path, "name", "identity", lambda: 1)
    (path,) = tmp_path.iterdir()
    write_record(path, read_record(path) | {"made by": {"jax": "0.1"}})
    assert kept_json(tmp_path, "name", "identity", lambda: 2) == 2


def test_pieces_belong_to_one_identity(tmp_path):
    Pieces(tmp_path / "run", {"seed": 0, "model": {"width": 4}}).save("state", [np.arange(3), np.ones(2)])
    pieces = Pieces(tmp_path / "run", {"seed": 0, "model": {"width": 4}})
    np.testing.assert_array_equal((pieces.saved("state") or [])[0], [0, 1, 2])
    assert pieces.saved("other") is None
    with pytest.raises(ValueError, match=r"made with another model.width \(4, now 8\)"):
        Pieces(tmp_path / "run", {"seed": 0, "model": {"width": 8}})
    claim(tmp_path / "run" / "run.json", {"model": {"width": 4}, "seed": 0})


def test_an_identity_with_more_or_less_in_it_is_another():
    assert difference({"a": 1}, {"a": 1}) is None
    assert difference({"a": 1}, {"a": 1, "b": 2}) == ("b", None, 2)
    assert difference({"a": 1, "b": 2}, {"a": 1}) == ("b", 2, None)


def test_a_digest_sees_shapes_types_and_bits():
    x = np.arange(6.0)
    others = [x.reshape(2, 3), x.astype(np.float32), x + 1, x.tobytes(), "text"]
    assert len({digest(part) for part in (x, *others)}) == 6


def test_a_tree_is_taken_apart_and_put_together(tmp_path):
    tree = {"key": jax.random.key(3), "state": (jnp.ones(2), jnp.arange(3))}
    write_arrays(tmp_path / "tree.npz", {str(i): leaf for i, leaf in enumerate(leaves_of(tree))})
    leaves = [leaf for _, leaf in sorted(read_arrays(tmp_path / "tree.npz").items())]
    back = tree_of(leaves, jax.eval_shape(lambda: tree))
    assert jnp.array_equal(jax.random.key_data(back["key"]), jax.random.key_data(tree["key"]))
    assert jnp.array_equal(back["state"][1], tree["state"][1])


def damages(content, count, seed=0):
    """Bits flipped and cuts at random places, and nothing at all."""
    draws = np.random.default_rng(seed)
    for _ in range(count):
        flipped = bytearray(content)
        flipped[draws.integers(len(content))] ^= 1 << int(draws.integers(8))
        yield bytes(flipped)
        yield content[: int(draws.integers(len(content)))]
    yield b""


def same(one, other):
    return one.keys() == other.keys() and all(
        (one[name].dtype, one[name].tobytes()) == (other[name].dtype, other[name].tobytes()) for name in one
    )


@pytest.mark.parametrize("compressed", [True, False])
def test_damaged_arrays_are_never_taken_for_what_was_written(tmp_path, compressed):
    path, arrays = tmp_path / "a.npz", {"0000": np.arange(40.0), "0001": np.arange(3), "0002": np.zeros((2, 0))}
    write_arrays(path, arrays, compressed=compressed, owner="this run")
    content, found = path.read_bytes(), 0
    assert same(read_arrays(path, "this run"), arrays)
    with np.load(path) as plain:
        assert same(dict(plain), arrays)
    with pytest.raises(Damaged, match=r"a\.npz"):
        read_arrays(path, "another run")
    for damaged in damages(content, 300):
        path.write_bytes(damaged)
        try:
            assert same(read_arrays(path, "this run"), arrays)  # a bit of the hash's own mark
        except Damaged as error:
            found += 1
            assert str(path) in str(error) and "pickle" not in str(error)
    assert found > 550


def test_damaged_records_are_never_taken_for_what_was_written(tmp_path):
    path, record = tmp_path / "a.json", {"loss": [0.1, float("nan"), 1e-300], "names": {"\u00e9": -0.0, "n": 12}}
    write_record(path, record)
    content, plain = path.read_bytes(), to_json(record)
    assert read_record(path) == plain
    for damaged in damages(content, 300):
        path.write_bytes(damaged)
        try:
            assert plain.items() <= read_record(path).items()
        except Damaged as error:
            assert str(path) in str(error)
    path.write_text(json.dumps(plain))  # of an earlier version
    assert read_record(path) == plain
    path.write_text("[1]")
    with pytest.raises(Damaged, match="no JSON object"):
        read_record(path)


def test_damaged_files_of_a_folder_are_named(tmp_path):
    (tmp_path / "d").mkdir()
    for name in ("a", "d/b"):
        (tmp_path / name).write_bytes(b"x" * 50)
    check_sums(tmp_path)  # an earlier version wrote no hashes
    write_sums(tmp_path)
    check_sums(tmp_path)
    for damaged in damages(b"x" * 50, 20):
        (tmp_path / "d" / "b").write_bytes(damaged)
        with pytest.raises(Damaged, match=r"d/b: is not what was written"):
            check_sums(tmp_path)
    (tmp_path / "d" / "b").unlink()
    with pytest.raises(Damaged, match=r"d/b"):
        check_sums(tmp_path)


@pytest.mark.parametrize("kept", [kept_json, kept_arrays])
def test_what_is_damaged_is_computed_again_and_said(tmp_path, kept, caplog):
    value = {"x": np.arange(5.0)}
    kept(tmp_path, "name", "identity", lambda: value)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    for damaged in damages(content, 30):
        path.write_bytes(damaged)
        np.testing.assert_array_equal(kept(tmp_path, "name", "identity", lambda: value)["x"], value["x"])
    assert "it is computed again" in caplog.text and path.read_bytes() == content


def test_damaged_pieces_are_not_there(tmp_path, caplog):
    pieces = Pieces(tmp_path, {"seed": 0})
    pieces.save("state", [np.arange(30)])
    path = tmp_path / "state.npz"
    for damaged in damages(path.read_bytes(), 30):
        path.write_bytes(damaged)
        found = pieces.saved("state")
        assert found is None or np.array_equal(found[0], np.arange(30))
    assert "state.npz" in caplog.text


HOLD = (
    "import sys, time\nfrom pathlib import Path\nfrom jaxembed.keep import Lock\n"
    "lock = Lock(Path(sys.argv[1]))\nlock.take()\nprint('held', flush=True)\ntime.sleep(60)"
)


def test_a_folder_has_one_writer_and_a_dead_one_has_none(tmp_path):
    out = tmp_path / "run"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(out)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match=r"another process is writing to .*run; wait for it"):
            Lock(out).take()
        other.kill()
        other.wait()
    lock = Lock(out)
    lock.take()
    lock.take()
    with pytest.raises(ValueError, match="another process"):
        Lock(out).take()
    lock.release()
    Lock(out).take()
    assert not list(out.iterdir())


def test_of_two_claims_one_counts(tmp_path, monkeypatch):
    claim(tmp_path / "run.json", {"seed": 0})
    monkeypatch.setattr("pathlib.Path.exists", lambda path: False)  # both looked before either wrote
    claim(tmp_path / "run.json", {"seed": 0})
    with pytest.raises(ValueError, match="another seed"):
        claim(tmp_path / "run.json", {"seed": 1})


def test_what_changes_bits_is_refused_and_what_may_is_said():
    before = {"versions": {"jax": "1", "numpy": "2"}, "cores": 2}
    assert check_made_alike("out", before, before, ("versions.jax",), ("cores",)) == ""
    told = check_made_alike("out", before, before | {"cores": 4}, ("versions.jax",), ("cores",))
    assert "another cores (2, now 4)" in told
    with pytest.raises(ValueError, match=r"^jax: 1 made the run in out and this is 2, .* resume with jax 1"):
        check_made_alike("out", before, {"versions": {"jax": "2"}}, ("versions.jax",), ("cores",))
    assert check_made_alike("out", None, before, ("versions.jax",), ("cores",)) == ""
