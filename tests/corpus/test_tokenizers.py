"""Tokenizers: files of both families, words, and training that gives the same every time."""

import json
import os
import random
import subprocess
import sys

import pytest

from jaxembed.corpus import Document, byte_bpe, encode, first_texts, read_tokenizer, word_level
from jaxembed.corpus.tokenizers import _panics
from jaxembed.corpus.words import words

TEXTS = [
    "The cat sat on the mat, and the cat's dog sat too.\n",
    "naïve 日本語 \U0001f600!",
    "  two  spaces\ttab\r\n",
    "",
    "x" * 50,
]
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def special(id, content):
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": id, "content": content, **flags, "special": True}


def byte_level(merges_as=list):
    """A file as Qwen2.5 has it: NFC, a regular expression, bytes; end token after the vocabulary."""
    pytest.importorskip("tokenizers")
    parts = json.loads(byte_bpe(["the cat sat on the mat and the cat sat"] * 9, 265).content)
    model = parts["model"]
    model["vocab"] = {token: id - 1 for token, id in model["vocab"].items() if id}  # the end token comes last
    model["merges"] = [merges_as(merge) if merges_as is list else " ".join(merge) for merge in model["merges"]]
    stages = [
        {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": False},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
    ]
    bytes_ = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    return {
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0},
        "padding": None,
        "added_tokens": [special(264, "<|endoftext|>"), special(265, "<|im_start|>")],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": stages},
        "post_processor": bytes_,
        "decoder": bytes_,
        "model": model,
    }


def byte_fallback():
    """A file as Llama 2 has it: spaces become a sign, unknown characters bytes, and a begin token would be added."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += ["\u2581", "t", "h", "e", "c", "a", "\u2581t", "he", "\u2581the", "\u2581c", "at", "\u2581cat"]
    merges = ["\u2581 t", "h e", "\u2581t he", "\u2581 c", "a t", "\u2581c at"]
    begin = {"id": "<s>", "ids": [1], "tokens": ["<s>"]}
    single = [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [special(0, "<unk>"), special(1, "<s>"), special(2, "</s>")],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "\u2581"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
            ],
        },
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": single,
            "pair": [*single, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": begin},
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": {piece: id for id, piece in enumerate([*pieces, "\u2581ca"])},
            "merges": [*merges, "\u2581c a"],
        },
    }


def written(folder, parts, **options):
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(parts, **options), encoding="utf-8")
    return path


@pytest.fixture
def qwen(tmp_path):
    return read_tokenizer(written(tmp_path, byte_level()))


@pytest.fixture
def llama(tmp_path):
    pytest.importorskip("tokenizers")
    return read_tokenizer(written(tmp_path, byte_fallback()))


def test_a_byte_level_file_round_trips(qwen):
    assert qwen.vocab == 266 and qwen.end_token == 264 and qwen.unknown_token is None
    for text, ids in zip(TEXTS, qwen.encode(TEXTS), strict=True):
        assert qwen.decode(ids) == text and ids.dtype == "int32"  # longer than the file's truncation
    assert qwen.token(qwen.encode([" the"])[0][0]) == " the"
    assert qwen.id(" the") == qwen.id("\u0120the") is not None
    assert qwen.id("nowhere") is None and qwen.token(300) == "<id 300>"
    assert [qwen.token(i) for i in qwen.encode(["\n日"])[0]] == ["\\n", "<0xE6>", "<0x97>", "<0xA5>"]


def test_a_byte_fallback_file_round_trips_and_nothing_is_added(llama):
    assert llama.vocab == 272 and llama.end_token == 2 and llama.unknown_token == 0
    for text, ids in zip(TEXTS, llama.encode(TEXTS), strict=True):
        assert llama.decode(ids) == text and not {0, 1, 2} & set(ids.tolist())
    assert [llama.token(i) for i in llama.encode(["the cat\n"])[0]] == [" the", " cat", "<0x0A>"]
    assert llama.id(" cat") == llama.id("\u2581cat") == 270


def test_an_end_token_written_in_a_text_ends_nothing(qwen, llama):
    for tokenizer, text in ((qwen, "a<|endoftext|>b"), (llama, "a</s>b")):
        (ids,) = tokenizer.encode([text])
        assert tokenizer.end_token not in ids and tokenizer.decode(ids) == text


def test_what_stands_before_a_text_is_what_the_tokenizer_puts_there(qwen, llama, tmp_path):
    assert llama.start_token == 1  # its own template adds it
    parts = byte_fallback()
    parts["post_processor"] = None
    assert read_tokenizer(written(tmp_path, parts)).start_token == 1  # by name
    assert qwen.start_token == qwen.end_token == 264  # it knows no start, and documents begin behind an end
    assert word_level(TEXTS, 6).start_token == 0


def unigram(unknown=0):
    """A file as T5 has it: pieces with their scores, and the unknown one by its number."""
    pieces = ["<unk>", "</s>", "\u2581", "\u2581the", *"abc"]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "Unigram", "unk_id": unknown, "vocab": [[p, -1.0] for p in pieces], "byte_fallback": False},
    }


def test_the_unknown_token_of_a_unigram_model_is_counted(tmp_path):
    pytest.importorskip("tokenizers")
    tokenizer = read_tokenizer(written(tmp_path, unigram()))
    assert tokenizer.unknown_token == 0 and tokenizer.encode(["the x"])[0].tolist() == [3, 2, 0]
    corpus = encode([Document("the x the z", "t", None)], tokenizer)
    assert corpus.facts["unknown_tokens"] == 2 == corpus.unigrams[0]
    assert read_tokenizer(written(tmp_path, unigram(None))).unknown_token is None


def test_special_tokens_added_beside_the_model_are_unseen(tmp_path):
    pytest.importorskip("tokenizers")
    parts = byte_fallback()
    plain = special(273, "<tool>") | {"special": False}
    parts["added_tokens"] += [special(272, "[PAD]"), plain]
    tokenizer = read_tokenizer(written(tmp_path, parts))
    assert tokenizer.unseen == {272} and tokenizer.vocab == 274
    ids = tokenizer.encode(["[PAD] <tool>"])[0].tolist()
    assert 272 not in ids and 273 in ids


def slow_pattern():
    parts = byte_level()
    parts["normalizer"] = None
    pattern = {"type": "Split", "pattern": {"Regex": "(x+x+)+y"}, "behavior": "Isolated", "invert": False}
    return parts | {"pre_tokenizer": pattern}


def test_a_pattern_that_comes_to_no_end_is_one_line_with_its_document(tmp_path, capfd):
    tokenizer = read_tokenizer(written(tmp_path, slow_pattern()))
    documents = [Document("the cat", "a.txt:1"), Document("x" * 40 + " the", "a.txt:2"), Document("the", "a.txt:3")]
    with pytest.raises(ValueError, match=r"^a\.txt:2: tokenizer: its library gave up .*begins 'xxx.*'; leave") as error:
        encode(documents, tokenizer)
    assert "\n" not in str(error.value)
    assert capfd.readouterr().err == ""
    assert len(encode(documents[::2], tokenizer)) == 2


def test_a_file_at_which_the_library_panics_is_one_line(tmp_path, capfd):
    parts = byte_level()
    parts["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": "////fw" + "A" * 53 + "="}
    with pytest.raises(ValueError, match=r"is not one that tokenizers .* reads .*precompiled_charsmap") as error:
        read_tokenizer(written(tmp_path, parts))
    assert "\n" not in str(error.value) and capfd.readouterr().err == ""


def test_what_others_write_to_standard_error_meanwhile_is_not_lost(capfd):
    with _panics():
        os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"
    with pytest.raises(KeyError), _panics():
        raise KeyError("of ours")


def test_batches_equal_single_texts(qwen, llama):
    for tokenizer in (qwen, llama, word_level(TEXTS, 6)):
        together = tokenizer.encode(TEXTS * 3)
        assert [list(ids) for ids in together] == [list(tokenizer.encode([text])[0]) for text in TEXTS * 3]


def test_the_hash_is_of_the_content_not_of_its_layout(tmp_path, qwen):
    again = read_tokenizer(written(tmp_path, byte_level(str), indent=2, sort_keys=True))
    assert again.hash == qwen.hash
    again.save(tmp_path / "copy.json")
    assert read_tokenizer(tmp_path / "copy.json").hash == qwen.hash
    other = byte_level()
    other["model"]["merges"] = other["model"]["merges"][::-1]
    assert read_tokenizer(written(tmp_path, other)).hash != qwen.hash


@pytest.mark.parametrize("kind", [byte_level, byte_fallback])
@pytest.mark.parametrize("switched_off", ["missing", False])
def test_the_hash_survives_a_library_that_writes_the_file_anew(tmp_path, kind, switched_off):
    library = pytest.importorskip("tokenizers")
    parts = kind()
    parts["model"] = {name: value for name, value in parts["model"].items() if value is not None and value is not False}
    if switched_off is False:
        parts["model"] = {"ignore_merges": False, "byte_fallback": False, "fuse_unk": False, **parts["model"]}
    path = written(tmp_path, parts)
    library.Tokenizer.from_file(str(path)).save(str(tmp_path / "again.json"))
    assert (tmp_path / "again.json").read_text() != path.read_text()
    assert read_tokenizer(tmp_path / "again.json").hash == read_tokenizer(path).hash
    changed = {**parts, "model": {**parts["model"], "ignore_merges": True}}
    before = read_tokenizer(path).hash
    assert read_tokenizer(written(tmp_path, changed)).hash != before


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is empty"),
        (b"not json", "is not JSON"),
        (b"[1, 2]", "describes no tokenizer model"),
        (b'{"word_counts": 3}', "describes no tokenizer model"),
        (b'{"version": "9.0", "model": {"type": "BPE", "vocab": {}, "merges": []}}', "is not one that tokenizers"),
        (b'{"version": "1.0", "model": {"type": "Later", "vocab": {}}}', "use the version that wrote it"),
        (b'{"type": "jaxembed words", "lowercase": true}', "has no words; make it again"),
        (b'{"type": "jaxembed words", "lowercase": 1, "words": []}', "lowercase must be true or false, got 1"),
        (b'{"type": "jaxembed words", "lowercase": true, "words": ["a", 2]}', "words must be a list, each a text"),
        (b"\x08\x00sentencepiece", "binary file"),
    ],
)
def test_what_is_no_tokenizer_is_one_line(tmp_path, content, message):
    pytest.importorskip("tokenizers")
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_tokenizer(tmp_path)
    assert "\n" not in str(error.value) and "tokenizer.json" in str(error.value)


def test_a_missing_tokenizer(tmp_path):
    for path in (tmp_path, tmp_path / "x.json"):
        with pytest.raises(ValueError, match="does not exist; give a tokenizer"):
            read_tokenizer(path)


def test_words(tmp_path):
    tokenizer = word_level(["b a c c the", "The the a b"], 6)
    assert [tokenizer.token(i) for i in range(6)] == [
        "<|endoftext|>",
        "<unk>",
        "the",
        "a",
        "b",
        "c",
    ]  # ties by alphabet
    assert tokenizer.encode(["The zebra, c!"])[0].tolist() == [2, 1, 5] and tokenizer.unknown_token == 1
    assert tokenizer.encode(["<unk> <|endoftext|>"])[0].tolist() == [1, 1]
    assert (tokenizer.id("the"), tokenizer.id("The"), tokenizer.id("zebra"), tokenizer.token(9)) == (
        2,
        2,
        None,
        "<id 9>",
    )
    assert tokenizer.decode([2, 1, 0]) == "the <unk> <|endoftext|>"
    tokenizer.save(tmp_path / "tokenizer.json")
    again = read_tokenizer(tmp_path)
    assert again.hash == tokenizer.hash and again.encode(["The zebra, c!"])[0].tolist() == [2, 1, 5]
    cased = word_level(["The the"], 4, lowercase=False)
    assert cased.hash != word_level(["The the"], 3).hash and cased.id("THE") is None


@pytest.mark.parametrize("size", [2, 8])
def test_more_words_than_there_are(size):
    with pytest.raises(ValueError, match=f"vocab: {size} asked; 5 distinct words, .* allow 3 to 7"):
        word_level(["a b c d e"], size)


def test_bpe_sizes():
    pytest.importorskip("tokenizers")
    assert byte_bpe(["the the"], 257).encode(["the"])[0].shape == (3,)
    with pytest.raises(ValueError, match="need at least 257, got 256"):
        byte_bpe(["x"], 256)
    with pytest.raises(ValueError, match="5000 asked, but the texts give only 26"):
        byte_bpe(["the the the"], 5000)


def test_a_long_run_without_spaces_trains_in_time():
    pytest.importorskip("tokenizers")
    tokenizer = byte_bpe(["ab" * 1_000_000, " " * 500_000], 262)
    assert tokenizer.vocab == 262 and tokenizer.decode(tokenizer.encode(["ab ab"])[0]) == "ab ab"


def test_the_first_texts_are_cut_inside_no_character():
    assert list(first_texts(["abc", "日本", "never"], 5e-6)) == ["abc", ""]
    assert list(first_texts(["abc", "日本", "never"], 7e-6)) == ["abc", "日"]


TRAIN = """
import sys
from jaxembed.corpus import byte_bpe
print(byte_bpe(open(sys.argv[1], encoding="utf-8").read().split("|"), 1000).hash)
"""


def test_training_twice_gives_the_same_tokenizer(tmp_path):
    """Every word once or twice, so that almost every merge is a tie; other hash seeds, threads and order of texts."""
    pytest.importorskip("tokenizers")
    random_ = random.Random(0)
    texts = ["".join(random_.choices("abcdefghij", k=random_.randint(2, 9))) for _ in range(3000)]
    hashes = set()
    for seed in (1, 2):
        random_.shuffle(texts)  # the counts stay
        path = tmp_path / f"{seed}.txt"
        path.write_text("|".join(texts), encoding="utf-8")
        environment = {**os.environ, "PYTHONHASHSEED": str(seed), "RAYON_NUM_THREADS": str(seed)}
        command = [sys.executable, "-c", TRAIN, str(path)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
        hashes.add(done.stdout)
    assert len(hashes) == 1


def test_words_are_those_of_the_word_splitter():
    text = "Don't read sys_path; naïve e\u0301t\u00e9 py3k, 日本 PEP 8! the\u2019end"
    tokenizer = word_level([text], 8)
    shown = [tokenizer.token(i) for i in tokenizer.encode([text])[0]]
    assert [a for a, b in zip(shown, words(text), strict=True) if a != b] == ["<unk>"] * shown.count("<unk>")
