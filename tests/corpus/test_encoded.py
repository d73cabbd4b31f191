"""Encoded corpora: on disk as in memory, whole or not at all, and their parts and null."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jaxembed.corpus import Damage, Document, corpus_of, encode, open_corpus, open_tokenizer, word_level
from jaxembed.corpus import encode as encode_function
from jaxembed.corpus import encoded as encoded_module

encoding = sys.modules[encode_function.__module__]
TEXTS = ["the cat sat on the mat", "a dog sat", "the dog saw the cat"]
TOKENIZER = word_level(TEXTS, 8)
DOCUMENTS = [Document(text, f"a:{n}", subset) for n, (text, subset) in enumerate(zip(TEXTS, "ABA", strict=True))]


@pytest.fixture
def corpus():
    return encode(DOCUMENTS, TOKENIZER)


def same(one, other):
    assert np.array_equal(one.ids, other.ids) and one.ids.dtype == other.ids.dtype
    assert np.array_equal(one.ends, other.ends) and np.array_equal(one.subset_of, other.subset_of)
    assert one.hash == other.hash and one.facts == other.facts and one.subsets == other.subsets


def random_corpus(documents=200, vocab=50, end=0, seed=0):
    rng = np.random.default_rng(seed)
    parts = [np.append(rng.integers(1, vocab, rng.integers(0, 60)), end) for _ in range(documents)]
    subset_of = rng.integers(-1, 2, documents)
    ends = np.cumsum([len(part) for part in parts])
    return corpus_of(np.concatenate(parts), ends, vocab, end, subsets=("A", "B"), subset_of=subset_of)


def test_on_disk_as_in_memory(tmp_path, corpus):
    written = encode(DOCUMENTS, TOKENIZER, tmp_path / "c")
    assert isinstance(written.ids, np.memmap) and not written.ids.flags.writeable
    same(written, corpus)
    same(open_corpus(tmp_path / "c"), corpus)
    assert open_tokenizer(tmp_path / "c").hash == TOKENIZER.hash == corpus.tokenizer_hash
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
    written.verify()


def test_documents_come_back(corpus):
    assert len(corpus) == 3 and corpus.tokens == 17 and corpus.ids.dtype == np.uint16
    assert [TOKENIZER.decode(corpus.document(k)[:-1]) for k in range(3)] == [
        "the cat sat <unk> the mat",
        "a dog sat",
        "the dog <unk> the cat",
    ]
    assert (corpus.ids[corpus.ends - 1] == TOKENIZER.end_token).all()
    assert corpus.facts["unknown_tokens"] == 2 and corpus.facts["characters"] == sum(map(len, TEXTS))
    assert corpus.subsets == ("A", "B") and corpus.subset_of.tolist() == [0, 1, 0]


def test_the_batch_size_changes_nothing(corpus, monkeypatch):
    monkeypatch.setattr(encoding, "BATCH", 30)
    same(encode(iter(DOCUMENTS), TOKENIZER), corpus)


def test_a_long_document_is_cut_before_white_space_and_keeps_its_words(corpus, monkeypatch):
    monkeypatch.setattr(encoding, "BATCH", 10)
    cut = encode(DOCUMENTS, TOKENIZER)
    assert (
        np.array_equal(cut.ids, corpus.ids) and cut.hash == corpus.hash and cut.facts["cuts"] == 4
    )  # two in the first, two in the last
    assert ["".join(text for text, _ in encoding._cut(text)) for text in ("x" * 25, *TEXTS)] == ["x" * 25, *TEXTS]


def test_many_tokens_need_wider_ids():
    assert corpus_of(np.array([65535]), np.array([1]), 65536).ids.dtype == np.uint16
    assert corpus_of(np.array([65536]), np.array([1]), 65537).ids.dtype == np.uint32


def test_a_limit_ends_after_a_whole_document():
    part = encode(DOCUMENTS, TOKENIZER, limit_tokens=8)
    assert (len(part), part.tokens, part.facts["limited"]) == (2, 11, True)


def test_damage_and_other_facts_are_kept(tmp_path):
    damage = Damage()
    damage.add("a.jsonl:3", "is not JSON (x); mend it")
    written = encode(DOCUMENTS, TOKENIZER, tmp_path / "c", damage=damage, facts={"paths": ["a.jsonl"]})
    assert written.facts["damage"]["places"] == [["a.jsonl:3", "is not JSON (x)"]]
    assert open_corpus(tmp_path / "c").facts["paths"] == ["a.jsonl"]


def test_progress_is_called_with_what_is_there(monkeypatch):
    monkeypatch.setattr(encoding, "BATCH", 10)
    seen = []
    encode(DOCUMENTS, TOKENIZER, progress=lambda text: seen.append(text.split("; ")[0]))
    assert seen[-1] == "3 documents, 17 tokens" and seen == sorted(seen)


def test_a_folder_with_content_is_refused_and_only_a_corpus_replaced(tmp_path, corpus):
    encode(DOCUMENTS[:1], TOKENIZER, tmp_path / "c")
    with pytest.raises(ValueError, match="is not empty; choose another folder or --overwrite"):
        encode(DOCUMENTS, TOKENIZER, tmp_path / "c")
    same(encode(DOCUMENTS, TOKENIZER, tmp_path / "c", overwrite=True), corpus)
    (tmp_path / "c" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds more than a corpus and is not replaced"):
        encode(DOCUMENTS, TOKENIZER, tmp_path / "c", overwrite=True)
    assert (tmp_path / "c" / "notes.txt").read_text() == "mine"
    with pytest.raises(ValueError, match="is a file"):
        encode(DOCUMENTS, TOKENIZER, tmp_path / "c" / "notes.txt")
    (tmp_path / "empty").mkdir()
    same(encode(DOCUMENTS, TOKENIZER, tmp_path / "empty"), corpus)


def test_the_old_corpus_stays_until_the_new_one_is_in_its_place(tmp_path, corpus, monkeypatch):
    encode(DOCUMENTS, TOKENIZER, tmp_path / "c")
    rename = Path.rename

    def failing(path, target):
        if path.name.endswith(".part"):
            raise OSError("no room")
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", failing)
        with pytest.raises(OSError, match="no room"):
            encode(DOCUMENTS[:1], TOKENIZER, tmp_path / "c", overwrite=True)
    same(open_corpus(tmp_path / "c"), corpus)
    (tmp_path / ".c.old").mkdir()  # of a run that was killed
    (tmp_path / "link").symlink_to("c")
    assert len(encode(DOCUMENTS[:1], TOKENIZER, tmp_path / "link", overwrite=True)) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "link"] and len(open_corpus(tmp_path / "c")) == 1


def test_a_file_is_no_corpus(tmp_path):
    (tmp_path / "book.txt").write_text("text")
    with pytest.raises(ValueError, match=r"book.txt' holds no encoded corpus; make one with jaxembed corpus"):
        open_corpus(tmp_path / "book.txt")


def test_no_documents_and_a_reader_that_fails_leave_nothing(tmp_path):
    def failing():
        yield DOCUMENTS[0]
        raise ValueError("a.jsonl:2: is not JSON")

    for documents, message in (([], "no document"), (failing(), "a.jsonl:2")):
        with pytest.raises(ValueError, match=message):
            encode(documents, TOKENIZER, tmp_path / "c")
        assert not list(tmp_path.iterdir())


KILLED = """
import sys, time
from pathlib import Path
from jaxembed.corpus import Document, encode, word_level
def slow():
    for n in range(1000000):
        yield Document("a b c " * 200000, str(n))
        Path(sys.argv[2]).touch()
        time.sleep(0.01)
encode(slow(), word_level(["a b c"], 5), sys.argv[1])
"""


def test_a_killed_encode_leaves_nothing_that_opens_and_a_second_one_starts_clean(tmp_path, corpus):
    out, sign = tmp_path / "c", tmp_path / "begun"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(out), str(sign)])
    try:
        for _ in range(600):
            if sign.exists():
                break
            time.sleep(0.1)
        assert sign.exists() and process.poll() is None
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not out.exists()
    for folder in tmp_path.glob(".*"):
        with pytest.raises(ValueError, match="holds no encoded corpus"):
            open_corpus(folder)
    same(encode(DOCUMENTS, TOKENIZER, out), corpus)
    assert {path.name for path in tmp_path.iterdir()} == {"c", "begun"}


@pytest.mark.parametrize(
    "harm, message",
    [
        (lambda folder: (folder / "corpus.json").unlink(), "holds no encoded corpus"),
        (lambda folder: (folder / "corpus.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "corpus.json").write_text('{"format": 1}'), "lacks documents, tokens"),
        (lambda folder: change(folder, format=2), "is of format 2"),
        (lambda folder: change(folder, documents=4), "cut short"),
        (lambda folder: (folder / "ids.bin").write_bytes(b"123"), "has 3 bytes, not 34"),
        (lambda folder: (folder / "ids.bin").unlink(), "has 0 bytes, not 34"),
        (lambda folder: (folder / "ends.npy").write_bytes(b""), "cannot be read"),
    ],
)
def test_a_damaged_folder_is_one_line(tmp_path, harm, message):
    encode(DOCUMENTS, TOKENIZER, tmp_path / "c")
    harm(tmp_path / "c")
    with pytest.raises(ValueError, match=message) as error:
        open_corpus(tmp_path / "c")
    assert "\n" not in str(error.value)


def change(folder, **values):
    path = folder / "corpus.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_verify_sees_one_flipped_bit(tmp_path):
    encode(DOCUMENTS, TOKENIZER, tmp_path / "c")
    content = bytearray((tmp_path / "c" / "ids.bin").read_bytes())
    content[4] ^= 1
    (tmp_path / "c" / "ids.bin").write_bytes(content)
    with pytest.raises(ValueError, match="not what was written"):
        open_corpus(tmp_path / "c").verify()


def test_parts_equal_a_slow_reference():
    corpus = random_corpus()
    documents = [corpus.document(k) for k in range(len(corpus))]
    for chosen in ([5, 3, 3, 199], [7, 8, 9], []):
        part = corpus.select(chosen)
        assert len(part) == len(chosen) and part.hash != corpus.hash
        assert all(np.array_equal(part.document(i), documents[k]) for i, k in enumerate(chosen))
    assert np.shares_memory(corpus.select([7, 8, 9]).ids, corpus.ids)
    named = corpus.subset("B")
    assert len(named) == (corpus.subset_of == 1).sum() and (named.subset_of == 1).all()
    assert sum(len(corpus.select(np.flatnonzero(corpus.subset_of == k))) for k in (-1, 0, 1)) == 200
    with pytest.raises(ValueError, match="no document of 'C'; found: A, B"):
        corpus.subset("C")
    with pytest.raises(ValueError, match="documents: 200 is not among"):
        corpus.select([200])


def test_a_split_holds_out_as_few_last_documents_as_suffice():
    corpus = random_corpus()
    for wanted in (1, 500, corpus.tokens - len(corpus.document(0))):
        train, held = corpus.split(wanted)
        assert np.array_equal(np.concatenate([train.ids, held.ids]), corpus.ids)
        assert held.tokens >= wanted > held.tokens - len(held.document(0))
    for wanted in (0, corpus.tokens):
        with pytest.raises(ValueError, match=f"held_out_tokens: {wanted} of {corpus.tokens}"):
            corpus.split(wanted)


@pytest.mark.parametrize("lengths, wanted", [([200], 10), ([3, 0, 197], 10), ([90, 110], 150), ([200], 199)])
def test_a_split_of_few_long_documents_cuts_one(lengths, wanted):
    ids = np.append(np.random.default_rng(0).integers(1, 9, 199), 0)
    corpus = corpus_of(ids, np.cumsum(lengths), 9, 0, subset_of=np.arange(len(lengths)))
    train, held = corpus.split(wanted)
    assert held.tokens == wanted and held.ends[-1] == wanted and train.ends[-1] == 200 - wanted
    assert np.array_equal(np.concatenate([train.ids, held.ids]), corpus.ids)
    assert len(train) + len(held) == len(corpus) + 1 and train.subset_of[-1] == held.subset_of[0]
    assert train.hash != held.hash and train.hash == corpus.split(wanted)[0].hash != corpus.split(wanted - 1)[0].hash


def test_a_split_of_few_documents_keeps_them_whole_where_that_is_near():
    corpus = corpus_of(np.ones(100, np.int32), np.array([60, 81, 100]), 2)
    assert [len(part) for part in corpus.split(10)] == [2, 1] and corpus.split(10)[1].tokens == 19
    assert [len(part) for part in corpus.split(9)] == [3, 1] and corpus.split(9)[1].tokens == 9


def test_a_split_that_cannot_be_names_the_cure():
    with pytest.raises(ValueError, match=r"0 of 5 tokens leave none .* \(0 held-out tokens\)"):
        corpus_of(np.ones(5, np.int32), np.array([5]), 2).split(0)


def test_the_hash_of_a_part_says_what_was_taken():
    corpus, other = random_corpus(), random_corpus(seed=1)
    parts = [corpus.select([0]), corpus.select([1]), corpus.select([0, 1]), corpus.select([1, 0]), other.select([0])]
    parts += [corpus.shuffled(0), corpus.shuffled(1), corpus.select([0]).shuffled(0), other.shuffled(0), corpus, other]
    assert len({part.hash for part in parts}) == len(parts)
    assert corpus.select(np.arange(2)).hash == corpus.select([0, 1]).hash
    assert corpus.select(np.arange(len(corpus))).hash == corpus.hash
    corpus.verify()
    with pytest.raises(ValueError, match="verify the corpus it was taken from"):
        parts[0].verify()


@pytest.mark.parametrize("piece", [2**22, 100, 1])
def test_shuffling_keeps_what_a_document_holds_and_its_end(monkeypatch, piece):
    monkeypatch.setattr(encoded_module, "PIECE", piece)
    corpus = random_corpus()
    shuffled = corpus.shuffled(3)
    assert np.array_equal(shuffled.ends, corpus.ends)
    for k in range(len(corpus)):
        one, other = corpus.document(k), shuffled.document(k)
        assert np.array_equal(np.sort(one), np.sort(other)) and other[-1] == 0
    assert (shuffled.ids != corpus.ids).mean() > 0.8
    assert shuffled.hash == corpus.shuffled(3).hash != corpus.shuffled(4).hash
    assert shuffled.facts["shuffled_seed"] == 3 and shuffled.facts["part_of"] == corpus.hash


def test_every_order_of_a_document_is_as_likely():
    corpus = corpus_of(np.tile([1, 2, 3, 0], 60_000), np.arange(4, 240_001, 4), 4, 0)
    orders = corpus.shuffled(0).ids.reshape(-1, 4)[:, :3] @ np.array([100, 10, 1], np.int64)
    found, counts = np.unique(orders, return_counts=True)
    assert found.tolist() == [123, 132, 213, 231, 312, 321]
    assert abs(counts - 10_000).max() < 5 * np.sqrt(10_000 * 5 / 6)


def test_without_an_end_token_all_are_shuffled():
    corpus = corpus_of(np.arange(100), np.array([100]), 100)
    assert corpus.shuffled(0).ids[-1] != 99


def test_empty_documents_survive_shuffling():
    assert corpus_of(np.array([], np.int32), np.array([0]), 3, 0).shuffled(0).tokens == 0
    corpus = corpus_of(np.array([1, 2, 0]), np.array([0, 3, 3]), 3, 0)
    assert sorted(corpus.shuffled(1).ids[:2]) == [1, 2] and len(corpus.shuffled(1)) == 3


def test_frequent_tokens_leave_out_the_end():
    corpus = corpus_of(np.array([2, 1, 1, 3, 2, 0, 0]), np.array([6, 7]), 5, 0)
    assert corpus.unigrams.tolist() == [2, 2, 2, 1, 0] and corpus.frequent(3).tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="n: 4 tokens asked, 3 different"):
        corpus.frequent(4)


@pytest.mark.parametrize(
    "ids, ends, message",
    [
        ([0, 5], [2], "id 5 is outside 0..4"),
        ([0, -1], [2], "id -1"),
        ([0, 1], [1], "ends"),
        ([0, 1], [2, 1, 2], "ends"),
    ],
)
def test_ids_and_ends_are_checked(ids, ends, message):
    with pytest.raises(ValueError, match=message):
        corpus_of(np.array(ids), np.array(ends), 5)
