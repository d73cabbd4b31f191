"""JSON of others: read or refused in one line, whatever it holds."""

import pytest

from jaxembed.records import (
    FLAG,
    OBJECT,
    TEXT,
    check_record,
    integer,
    list_of,
    object_of,
    optional_of,
    read_object,
    real,
)

VALUES = [
    None,
    True,
    3,
    -1,
    10**400,
    0.5,
    1e30,
    float("nan"),
    float("inf"),
    "3",
    [],
    ["a"],
    [1],
    {},
    {"a": "b"},
    {"a": 1},
]
FITTING = {
    "integer": (integer(0, 9), [3]),
    "real": (real(0, 1e30), [3, 0.5, 1e30]),
    "optional": (optional_of(integer(0, 9)), [None, 3]),
    "list": (list_of(TEXT), [[], ["a"]]),
    "object of": (object_of(TEXT), [{}, {"a": "b"}]),
    "object": (OBJECT, [{}, {"a": "b"}, {"a": 1}]),
    "flag": (FLAG, [True]),
    "text": (TEXT, ["3"]),
}


@pytest.mark.parametrize("name", FITTING)
def test_a_kind_takes_what_it_is_and_nothing_else(name):
    kind, fitting = FITTING[name]
    for value in VALUES:
        if any(type(value) is type(fit) and value == fit for fit in fitting):
            check_record({"x": value}, {"x": kind}, "place")
        else:
            with pytest.raises(ValueError, match=r"^place: x must be .*, got .{1,45}; save it again$") as error:
                check_record({"x": value}, {"x": kind}, "place", advice="save it again")
            assert kind.what in str(error.value)


def test_a_key_may_be_needed():
    check_record({}, {"x": TEXT}, "place")
    with pytest.raises(ValueError, match="place: has no x"):
        check_record({}, {"x": TEXT}, "place", needed=("x",))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "not valid JSON"),
        (b"", "not valid JSON"),
        (b"\xff", "not valid JSON"),
        (b"[" * 50_000, "nested too deeply"),
        (b'{"a":' * 50_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b"[1]", "must hold a JSON object, got a list"),
        (b"NaN", "must hold a JSON object, got NaN"),
    ],
)
def test_a_file_that_holds_no_object_is_one_line(content, said, tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=said) as error:
        read_object(path)
    assert str(error.value).startswith(f"{path}: ") and str(error.value).endswith("; restore it")


def test_a_file_is_read_with_a_byte_order_mark_and_missed_by_name(tmp_path):
    (tmp_path / "x.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_object(tmp_path / "x.json") == {"a": 1}
    with pytest.raises(ValueError, match=r"y\.json: no such file"):
        read_object(tmp_path / "y.json")
