"""Files that are whole or not there, folders likewise, numbers computed once, and identities that differ."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.keep import (
    Pieces,
    claim,
    difference,
    digest,
    from_json,
    kept_arrays,
    kept_json,
    leaves_of,
    read_arrays,
    read_json,
    sweep,
    to_json,
    tree_of,
    whole,
    whole_folder,
    write_arrays,
    write_json,
)


def test_a_file_that_fails_half_way_leaves_the_one_before_and_nothing_else(tmp_path):
    path = tmp_path / "numbers.json"
    write_json(path, {"loss": 1.0})
    with pytest.raises(KeyboardInterrupt), whole(path) as file:
        file.write(b"{")
        raise KeyboardInterrupt
    assert read_json(path) == {"loss": 1.0} and list(tmp_path.iterdir()) == [path]


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
    write_json(path, read_json(path) | {"made by": {"jax": "0.1"}})
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
