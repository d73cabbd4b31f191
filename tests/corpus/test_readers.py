import gzip

import pytest

from jaxembed.corpus import read_text


def test_text_comes_back_as_written(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("naïve\r\n日本\n".encode())
    assert read_text(path) == read_text(str(path)) == "naïve\r\n日本\n"


def test_only_the_byte_order_mark_at_the_start_is_dropped(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("a\ufeffb".encode("utf-8-sig"))
    assert read_text(path) == "a\ufeffb"


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is empty"),
        (b" \n\t", "is empty"),
        (b"\xef\xbb\xbf\n", "is empty"),
        (b"plain\0text", "binary file .NUL at byte 5."),
        (b"caf\xe9 au lait", "0xe9 at byte 3.*iconv"),
        (b"\xef\xbb\xbfcaf\xe9", "0xe9 at byte 6"),
        (gzip.compress(b"text", mtime=0), "binary file"),
        ("text".encode("utf-16"), "UTF-16.*iconv -f UTF-16 -t UTF-8"),
    ],
)
def test_what_is_no_text_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_text(path)
    assert "a.txt" in str(error.value) and "\n" not in str(error.value)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "name, message", [("missing.txt", "does not exist"), ("", "is a folder"), ("a\0b", "cannot be")]
)
def test_what_is_no_file_is_refused(tmp_path, name, message):
    with pytest.raises(ValueError, match=message):
        read_text(f"{tmp_path}/{name}")
