"""`jaxembed topics` on an archive and a model made here; what cannot be read ends in one line."""

import io
import json
import tarfile

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("tokenizers")
pytest.importorskip("safetensors")

from jaxembed.__main__ import main
from jaxembed.analysis.topics.texts import draw_texts
from jaxembed.commands.topics import run

HEAD = "From: a@b (A)\nSubject: made up\n\n"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Made-up documents as posts, two paragraphs each: the last one is taken for a footer."""
    path, texts = tmp_path_factory.mktemp("posts") / "posts.tar.gz", draw_texts(240)
    with tarfile.open(path, "w:gz") as files:
        for part, documents in (("train", texts.train), ("test", texts.test)):
            for number, document in enumerate(documents):
                content = f"{HEAD}{document.text}\n\nA name".encode()
                member = tarfile.TarInfo(f"bydate/{part}/{document.subset.replace(' ', '.')}/{number}")
                member.size = len(content)
                files.addfile(member, io.BytesIO(content))
    return path


def failed(arguments):
    """The line that a command leaves with."""
    with pytest.raises((ValueError, OSError)) as stop:
        run([str(argument) for argument in arguments])
    assert "\n" not in str(stop.value)
    return str(stop.value)


def test_bad_input_is_said_in_one_line(archive, tmp_path):
    assert "no such folder" in failed([tmp_path / "none", "--newsgroups", archive])
    assert "is no file" in failed([tmp_path, "--newsgroups", tmp_path / "posts.tar"])
    assert "--topics: need at least 2, got 1" in failed([tmp_path, "--newsgroups", archive, "--topics", 1])
    assert "--positions: need 3 to 16" in failed([tmp_path, "--newsgroups", archive, "--positions", 40])
    assert "must end in .md or .json" in failed([tmp_path, "--newsgroups", archive, "--out", "table.txt"])
    assert "newsgroups" in failed([tmp_path])


@pytest.mark.slow
def test_a_decoder_trained_here_is_read(archive, tmp_path, capsys):
    """From posts to a corpus, from there to a trained decoder, and from its folder to its topics."""
    from jaxembed.corpus.newsgroups import newsgroups

    text = tmp_path / "posts.jsonl"
    posts = newsgroups(archive, "train", drop=("footers", "quotes"))
    text.write_text("".join(json.dumps({"text": post.text}) + "\n" for post in posts))
    corpus, folder, out = (tmp_path / name for name in ("corpus", "decoder", "found.json"))
    main(["corpus", str(text), "--out", str(corpus), "--tokenizer", "bpe", "--vocab-size", "320"])
    sizes = ["--width", "32", "--layers", "1", "--steps", "120", "--batch", "8", "--length", "64"]
    main(["pretrain", str(corpus), "--out", str(folder), *sizes, "--learning-rate", "1e-2"])
    options = ["--topics", "5", "--fits", "2", "--length", "192", "--positions", "4", "--out", str(out)]
    run([str(folder), "--newsgroups", str(archive), *options])
    said = capsys.readouterr().out
    assert "240 training and 120 test posts" in said and "Top-topic accuracy by layer" in said
    found = json.loads(out.read_text())
    trained, majority = found["trained"]["5 average"][0], found["references"]["5 majority"]
    assert min(fit[0] for fit in trained) > max(fit[0] for fit in majority) + 0.2
    assert found["trained"]["loss"][0] < found["untrained"]["loss"][0] - 1 and len(found["links"]) == 1
