"""Every format gives its texts, and every damaged row is counted and named."""

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import socket
import sys
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest

from jaxembed.corpus import Damage, archives, documents, formats, read_text

ROWS = [
    {"text": "the cat\nsat", "meta": {"pile_set_name": "A"}},
    {"text": "naïve 日本", "meta": {"pile_set_name": "B"}},
    {"text": "no meta"},
]
TEXTS = [row["text"] for row in ROWS]


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def texts(*paths, **options):
    return [document.text for document in documents(paths, **options)]


def skipped(path, **options):
    """The texts that are left, and the damage."""
    damage = Damage()
    left = texts(path, on_error="skip", damage=damage, **options)
    return left, damage


def zstd(content):
    return pytest.importorskip("zstandard").ZstdCompressor(write_checksum=True).compress(content)


@pytest.mark.parametrize(
    "name, packed",
    [("a.jsonl", bytes), ("a.jsonl.gz", gzip.compress), ("a.jsonl.zst", zstd), ("a.json", bytes), ("a.ndjson", bytes)],
)
def test_rows_come_back_in_order_with_their_places_and_subsets(tmp_path, name, packed):
    path = put(tmp_path / name, packed(lines(ROWS)))
    found = list(documents(path))
    assert [document.text for document in found] == TEXTS
    assert [document.source for document in found] == [f"{path}:{n}" for n in (1, 2, 3)]
    assert [document.subset for document in found] == ["A", "B", None]


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_frames_one_after_the_other_are_one_file(tmp_path, pack):
    name = "a.jsonl.gz" if pack is gzip.compress else "a.jsonl.zst"
    half = len(lines(ROWS)) // 2  # in the middle of a row
    path = put(tmp_path / name, pack(lines(ROWS)[:half]) + pack(b"") + pack(lines(ROWS)[half:]))
    assert texts(path) == TEXTS


def test_gzip_may_end_in_padding(tmp_path):
    assert texts(put(tmp_path / "a.jsonl.gz", gzip.compress(lines(ROWS)) + bytes(1000))) == TEXTS


@pytest.mark.parametrize(
    "content, expected",
    [
        (b"\xef\xbb\xbf" + lines(ROWS), TEXTS),
        (lines(ROWS).replace(b"\n", b"\r\n"), TEXTS),
        (lines(ROWS).rstrip(), TEXTS),
        (lines(ROWS).replace(b"\n", b"\n\n"), TEXTS),
        (lines([{"text": "x" * 300_000}, {"text": "y"}]), ["x" * 300_000, "y"]),
        (json.dumps(ROWS, indent=1).encode(), TEXTS),
        (json.dumps(TEXTS).encode(), TEXTS),
    ],
    ids=["mark", "CRLF", "no last end", "blank lines", "longer than a block", "array of rows", "array of texts"],
)
def test_json_as_people_write_it(tmp_path, content, expected):
    assert texts(put(tmp_path / "a.json", content)) == expected


BAD_ROWS = {
    "not JSON": (b'{"text": "cut', "is not JSON .Unterminated string"),
    "array": (b'["a", "b"]', r"is no object .list.; a line is one"),
    "no text": (b'{"content": "x", "id": 1}', r"has no field 'text' .fields: content, id."),
    "null": (b'{"text": null}', "text is no string .NoneType"),
    "number": (b'{"text": 3}', "text is no string .int"),
    "empty": (b'{"text": " \\n"}', "is empty"),
    "latin-1": (b'{"text": "caf\xe9"}', "is not UTF-8 .0xe9 at byte 13"),
    "surrogate": (rb'{"text": "x\ud800"}', "holds half a surrogate pair .character 1"),
    "deep": (b"[" * 200_000, "is not JSON"),
    "long number": (b'{"text": "x", "n": ' + b"9" * 5000 + b"}", "is not JSON"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_damaged_row_stops_or_is_skipped_by_file_and_line(tmp_path, name):
    bad, message = BAD_ROWS[name]
    path = put(tmp_path / "a.jsonl", lines(ROWS[:1]) + bad + b"\n" + lines(ROWS[1:]))
    with pytest.raises(ValueError, match=f"a.jsonl:2: {message}") as error:
        texts(path)
    assert "\n" not in str(error.value) and "skip" in str(error.value)
    left, damage = skipped(path)
    assert left == TEXTS and len(damage) == 1
    assert damage.places[0][0] == f"{path}:2"


BAD_FILES = {
    "a.txt": (b"", "is empty"),
    "b.txt": (b"caf\xe9", "is not UTF-8 .0xe9 at byte 3"),
    "c.txt": ("text".encode("utf-16"), "is UTF-16"),
    "d.bin": (b"\x7fELF\0", "binary file"),
    "a.jsonl": (b"", "is empty"),
    "b.jsonl": (b"\n\n", "is empty"),
    "c.jsonl.gz": (b"plain", "is damaged.*incorrect header"),
    "d.jsonl.gz": (b"", "is empty"),
    "e.txt.gz": (gzip.compress(b"a text" * 99)[:-12], "ends too early"),
    "f.json": (b'[{"text": "a"}, ', "is not JSON"),
    "g.parquet": (b"PAR1 or not", "is no readable parquet file"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_no_text_is_named(tmp_path, name):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    content, message = BAD_FILES[name]
    path = put(tmp_path / name, content)
    with pytest.raises(ValueError, match=f"{name}.*{message}") as error:
        texts(path)
    assert "\n" not in str(error.value)
    left, damage = skipped(path)
    assert not left and len(damage) == 1 and damage.places[0][0].startswith(str(path))


@pytest.mark.parametrize("name, pack", [("a.jsonl.gz", gzip.compress), ("a.jsonl.zst", zstd)])
def test_a_truncated_file_gives_its_whole_rows_and_says_where_it_broke_off(tmp_path, name, pack):
    rows = [{"text": "".join(map(chr, np.random.default_rng(n).integers(97, 123, 5000)))} for n in range(100)]
    whole = pack(lines(rows))
    left, damage = skipped(put(tmp_path / name, whole[: len(whole) * 2 // 3]))
    assert left == [row["text"] for row in rows[: len(left)]] and 30 < len(left) < 70
    assert damage.places == [
        (f"{tmp_path / name}:{len(left) + 1}", "ends too early, the rest of the file is lost (truncated)")
    ]


@pytest.mark.parametrize("name, pack", [("a.jsonl.gz", gzip.compress), ("a.jsonl.zst", zstd)])
def test_a_flipped_bit_is_damage(tmp_path, name, pack):
    content = bytearray(pack(lines(ROWS * 50)))
    content[-3 if name.endswith("zst") else -6] ^= 1  # of the checksum
    _, damage = skipped(put(tmp_path / name, bytes(content)))
    assert len(damage) == 1 and damage.table()[0][0] == "is damaged, the rest of the file is lost"


def test_text_files_and_folders_in_sorted_order(tmp_path):
    for name in ("b.txt", "a/z.txt", "a/b.md", ".hidden/x.txt", "a/.DS_Store"):
        put(tmp_path / name, f"{name}\r\nend")
    put(tmp_path / "c.jsonl", lines(ROWS[:1]))
    put(tmp_path / "d.txt.gz", gzip.compress(b"\xef\xbb\xbfpacked"))
    assert texts(tmp_path) == ["a/b.md\r\nend", "a/z.txt\r\nend", "b.txt\r\nend", TEXTS[0], "packed"]
    assert next(document.source for document in documents(tmp_path)) == str(tmp_path / "a/b.md")


def test_linked_folders_are_entered_and_loops_end(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    put(inside / "a.txt", "a")
    put(outside / "b.txt", "b")
    (inside / "linked").symlink_to(outside)
    (inside / "self").symlink_to(inside)
    (outside / "back").symlink_to(inside)  # a loop of two
    (inside / "file.txt").symlink_to(outside / "b.txt")
    assert texts(inside) == ["a", "b", "b"]


def test_what_is_no_file_is_damage(tmp_path, monkeypatch):
    put(tmp_path / "a.txt", "a")
    (tmp_path / "nothing.txt").symlink_to(tmp_path / "gone.txt")
    (tmp_path / "round").symlink_to("round")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)  # the name of a socket may not be long
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        with pytest.raises(ValueError, match=r"nothing.txt: is no file .a link to nothing"):
            texts(tmp_path)
        left, damage = skipped(tmp_path)
    assert left == ["a"] and damage.kinds == {"is no file": 4}
    assert [place for place, _ in damage.places] == [
        str(tmp_path / n) for n in ("nothing.txt", "pipe", "round", "socket")
    ]


def test_a_folder_that_may_not_be_read_stops_at_once(tmp_path, monkeypatch):
    put(tmp_path / "a.txt", "a")
    put(tmp_path / "closed/b.txt", "b")
    scan = os.scandir

    def refuse(path):  # whoever runs the tests may be allowed to read everything
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ValueError, match=r"closed' cannot be read \(Permission denied\)") as error:
        documents(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "given, message",
    [
        ("missing.txt", "does not exist"),
        ("empty", "holds no file"),
        ("encoded", "is an encoded corpus already"),
        ([], "nothing to read"),
    ],
)
def test_paths_without_text_are_refused_at_once(tmp_path, given, message):
    (tmp_path / "empty").mkdir()
    put(tmp_path / "encoded/corpus.json", "{}")
    with pytest.raises(ValueError, match=message):
        documents(tmp_path / given if given else [])


def test_a_subset_is_chosen_and_an_unknown_one_names_those_there_are(tmp_path):
    path = put(tmp_path / "a.jsonl", lines(ROWS))
    assert texts(path, subset="B") == TEXTS[1:2]
    with pytest.raises(ValueError, match=r"no document of 'C'; found: A, B \(1 documents name no subset\)"):
        texts(path, subset="C")


def test_another_field_and_an_unknown_policy(tmp_path):
    assert texts(put(tmp_path / "a.jsonl", b'{"body": "x"}'), text_field="body") == ["x"]
    with pytest.raises(ValueError, match="on_error: 'ignore'"):
        documents(tmp_path, on_error="ignore")


def test_damage_counts_all_and_names_the_first():
    damage = Damage()
    for n in range(150):
        damage.add(f"a.jsonl:{n}", f"is not JSON (at column {n}); mend it")
    damage.add("b.txt", "is empty; give text")
    assert len(damage) == 151 and len(damage.places) == 100
    assert damage.table() == [("is not JSON", 150, "a.jsonl:0"), ("is empty", 1, "b.txt")]
    assert damage.summary()["kinds"] == {"is not JSON": 150, "is empty": 1}
    assert str(damage) == "151 rows skipped; 150 is not JSON, first a.jsonl:0; 1 is empty, first b.txt"
    damage.add("c.parquet:row 3", "is lost; fetch it again", 40)
    assert len(damage) == 191 and damage.table()[1] == ("is lost", 40, "c.parquet:row 3")


def parquet(path, **columns):
    arrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(arrow.table(columns), path, row_group_size=2)
    return path


def test_parquet_with_subsets(tmp_path):
    metas = [{"pile_set_name": "A"}, {"pile_set_name": "B"}, None]
    path = parquet(tmp_path / "a.parquet", id=[1, 2, 3], meta=metas, text=TEXTS)
    found = list(documents(path))
    assert [(document.text, document.subset) for document in found] == list(zip(TEXTS, ["A", "B", None], strict=True))
    assert [document.source for document in found] == [f"{path}:row {n}" for n in (1, 2, 3)]


@pytest.mark.parametrize("kind", ["string", "large_string", "binary", "dictionary"])
def test_parquet_of_every_kind_of_string(tmp_path, kind):
    arrow = pytest.importorskip("pyarrow")
    column = arrow.array([text.encode() for text in TEXTS], arrow.binary())
    if kind != "binary":
        column = column.cast(arrow.string() if kind == "dictionary" else getattr(arrow, kind)())
    assert (
        texts(parquet(tmp_path / "a.parquet", text=column.dictionary_encode() if kind == "dictionary" else column))
        == TEXTS
    )


def test_parquet_damage(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    broken = arrow.array([b"fine", b"caf\xe9", None, b""], arrow.binary())
    damaged = arrow.Array.from_buffers(arrow.string(), 4, broken.buffers())
    left, damage = skipped(parquet(tmp_path / "a.parquet", text=damaged))
    assert left == ["fine"]
    assert [place.rsplit(":", 1)[1] for place, _ in damage.places] == ["row 2", "row 3", "row 4"]
    _, damage = skipped(parquet(tmp_path / "b.parquet", content=["x"], id=[1]))
    assert "has no column 'text' (columns: content, id)" in damage.places[0][1]
    _, damage = skipped(parquet(tmp_path / "c.parquet", text=[1, 2]))
    assert damage.kinds == {"text is no string": 2}


def test_a_damaged_row_group_loses_its_own_rows_only(tmp_path):
    parquet(tmp_path / "a.parquet", text=[f"text {n}" for n in range(7)])
    with pytest.importorskip("pyarrow.parquet").ParquetFile(tmp_path / "a.parquet") as file:
        column = file.metadata.row_group(1).column(0)
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    at = column.dictionary_page_offset or column.data_page_offset
    content[at : at + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    left, damage = skipped(put(tmp_path / "a.parquet", bytes(content)))
    assert left == [f"text {n}" for n in (0, 1, 4, 5, 6)]
    assert damage.kinds == {"is in a damaged row group": 2} and len(damage.places) == 1
    assert damage.places[0][0] == f"{tmp_path / 'a.parquet'}:row 3"
    with pytest.raises(ValueError, match=r"a.parquet:row 3: is in a damaged row group .*skip its 2 rows"):
        texts(tmp_path / "a.parquet")


@pytest.fixture
def hub(monkeypatch):
    """A stand-in for the library that streams data sets."""
    asked = []

    def load_dataset(name, config, *, split, streaming):
        asked.append((name, config, split, streaming))
        if name == "no/where":
            raise ConnectionError("no route\nto host")
        return iter(ROWS) if name == "a/b" else broken()

    def broken():
        yield ROWS[0]
        raise OSError("reset")

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    return asked


def test_a_data_set_of_the_hub_is_streamed(hub):
    found = list(documents("hub:a/b/c:test"))
    assert [document.text for document in found] == TEXTS and hub == [("a/b", "c", "test", True)]
    assert (found[1].source, found[1].subset) == ("hub:a/b:test:row 2", "B")
    assert texts("hub:a/b") == TEXTS and hub[-1] == ("a/b", None, "train", True)


@pytest.mark.parametrize(
    "name, message",
    [
        ("hub:no/where", r"hub:no/where: not reached \(ConnectionError: no route to host\); check the name"),
        ("hub:breaks/off", r"hub:breaks/off: after 1 rows \(OSError: reset\)"),
        ("hub:", "is no data set; write hub:OWNER/NAME"),
        ("hub:a/b/c/d", "is no data set"),
    ],
)
def test_a_data_set_that_cannot_be_read_is_one_line(hub, name, message):
    with pytest.raises(ValueError, match=message) as error:
        texts(name)
    assert "\n" not in str(error.value)


def test_without_the_extra_the_line_says_which(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ValueError, match=r"pip install 'jaxembed\[datasets\]'"):
        texts("hub:a/b")


TABLE_ROWS = [("the cat\nsat, on", "good"), ('a "dog"', "bad"), ("naïve 日本", "good")]


def table(delimiter):
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter).writerows([("review", "label"), *TABLE_ROWS])
    return written.getvalue().encode()


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ","), ("a.csv", ";"), ("a.tsv", "\t"), ("a.csv.gz", ",")])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_column_of_a_table_is_its_texts(tmp_path, name, delimiter, mark):
    content = mark + table(delimiter)
    path = put(tmp_path / name, gzip.compress(content) if name.endswith("gz") else content)
    found = list(documents(path, text_field="review"))
    assert [document.text for document in found] == [text for text, _ in TABLE_ROWS]
    assert [document.source for document in found] == [f"{path}:{n}" for n in (2, 4, 5)]
    with pytest.raises(ValueError, match=r"has no column 'text' \(columns: review.*label\); name the column"):
        texts(path)


def test_a_cell_may_be_longer_than_the_csv_module_allows_and_its_limit_stays(tmp_path):
    limit = csv.field_size_limit()
    path = put(tmp_path / "a.csv", f"text,n\n{'word ' * 2**16},1\n")
    assert texts(path) == ["word " * 2**16] and csv.field_size_limit() == limit


BAD_CELLS = {
    "comma": (b"the cat, the dog,good", r"has not one cell for each heading \(3 for 2\)"),
    "short": (b"the cat", r"has not one cell for each heading \(1 for 2\)"),
    "quotes": (b'"the" cat,good', "is no row of a table"),
    "latin-1": (b"caf\xe9,good", r"is not UTF-8 \(0xe9 at byte 3\)"),
    "empty": (b",good", "is empty"),
}


@pytest.mark.parametrize("name", BAD_CELLS)
def test_a_damaged_row_of_a_table_is_named(tmp_path, name):
    bad, message = BAD_CELLS[name]
    path = put(tmp_path / "a.csv", b"text,label\none,good\n" + bad + b"\nthree,bad\n")
    with pytest.raises(ValueError, match=f"a.csv:3: {message}"):
        texts(path)
    left, damage = skipped(path)
    assert left == ["one", "three"] and len(damage) == 1


def test_tables_that_are_none(tmp_path):
    for name, content, message in (
        ("open.csv", b'text,n\nfine,1\n"no end,2\nx,3\n', r"open.csv:3: is no row of a table"),
        ("twice.csv", b"text,text\na,b\n", "has 2 columns 'text'; rename all but one, or name another"),
        ("head.csv", b"text,label\n", "is empty; give a file with rows"),
        ("none.tsv", b"", r"has no column 'text' \(columns: none\)"),
        ("wide.csv", "text,n\na,1\n".encode("utf-16"), "is UTF-16"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            texts(put(tmp_path / name, content))
        assert "\n" not in str(error.value)


def test_two_columns_of_one_name_in_parquet(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    both = arrow.Table.from_arrays([arrow.array(["a"]), arrow.array(["b"])], names=["text", "text"])
    pytest.importorskip("pyarrow.parquet").write_table(both, tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"a.parquet: has 2 columns 'text'; rename all but one, or name another"):
        texts(tmp_path / "a.parquet")


@pytest.mark.parametrize("name", ["a.jsonl.xz", "a.jsonl.bz2", "a.jsonl"])
@pytest.mark.parametrize("parts", [1, 2])
def test_compressed_by_name_or_by_its_first_bytes(tmp_path, name, parts):
    pack = lzma.compress if name.endswith("xz") else bz2.compress if name.endswith("bz2") else gzip.compress
    half = len(lines(ROWS)) // 2 if parts == 2 else 0
    whole = pack(lines(ROWS)[:half]) + pack(lines(ROWS)[half:])
    assert texts(put(tmp_path / name, whole)) == TEXTS
    left, damage = skipped(put(tmp_path / name, whole[:-7]))
    assert left == TEXTS[: len(left)] and damage.table()[0][0] == "ends too early, the rest of the file is lost"
    _, damage = skipped(put(tmp_path / name, whole[:9] + b"\xff\xff\xff" + whole[12:]))
    assert len(damage) and all(document in TEXTS for document in _)


BOMBS = {
    "a.jsonl.gz": lambda text: gzip.compress(text, 9),
    "a.jsonl.bz2": bz2.compress,
    "a.txt.xz": lambda text: lzma.compress(text, preset=1),
    "a.jsonl.zst": lambda text: zstd(text),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_a_file_may_become_is_bounded_and_the_user_says_by_how_much(tmp_path, name, monkeypatch):
    monkeypatch.setattr(archives, "ALLOWED", 2**16)
    rows = b"".join(b'{"text": "the cat"}\n' for _ in range(2**14))
    path = put(tmp_path / name, BOMBS[name](rows))
    ratio = len(rows) / path.stat().st_size
    assert ratio > 100
    tracemalloc.start()
    left, damage = skipped(path, max_expansion=ratio / 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(damage) == 1 and "becomes more than" in damage.table()[0][0]
    assert len(left) < 2**13 + 2**12 and peak < 40e6
    assert len(texts(path, max_expansion=ratio + 1)) == (1 if name == "a.txt.xz" else 2**14)
    with pytest.raises(ValueError, match=r"times as long .*if that is right, raise --max-expansion"):
        texts(path, max_expansion=ratio / 2)


def test_a_line_that_does_not_end_is_not_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "LINE", 2**17)
    path = put(tmp_path / "a.jsonl", lines(ROWS[:1]) + b'{"text": "' + b"x" * 2**19)
    left, damage = skipped(path)
    assert left == TEXTS[:1] and damage.places == [(f"{path}:2", f"is longer than 0 MiB, {archives.LOST}")]
    assert texts(put(tmp_path / "b.json", json.dumps(["y" * 2**18]))) == ["y" * 2**18]  # one array on one line


def test_pipes_and_devices_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", "/dev/zero"):
        for read in (texts, read_text):
            with pytest.raises(ValueError, match="is a pipe or a device; write what it gives to a file"):
                read(place)
