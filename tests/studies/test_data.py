"""The data folder: what it holds, and what is said where it does not."""

import pytest

from jaxembed.studies.data import data_path, pile_files


def test_paths_below_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXEMBED_DATA", str(tmp_path))
    (tmp_path / "pile").mkdir()
    for name in ("europarl", "pile_cc"):
        (tmp_path / "pile" / f"{name}.jsonl.gz").touch()
    assert pile_files(("pile_cc", "europarl")) == [tmp_path / "pile" / f"{x}.jsonl.gz" for x in ("pile_cc", "europarl")]
    with pytest.raises(ValueError, match=r"JAXEMBED_DATA: there is no .*github\.jsonl\.gz; name another folder"):
        pile_files(("europarl", "github"))


@pytest.mark.parametrize("folder", [None, ""])
def test_no_folder_named(monkeypatch, folder):
    monkeypatch.delenv("JAXEMBED_DATA", raising=False)
    if folder is not None:
        monkeypatch.setenv("JAXEMBED_DATA", folder)
    with pytest.raises(ValueError, match=r"JAXEMBED_DATA: not set; name the folder that holds similarity/men\.txt"):
        data_path("similarity", "men.txt")
