"""Every registered study in its one shape: at size tiny its evidence applies and its machinery holds."""

import ast
from pathlib import Path

import numpy as np
import pytest

import jaxembed.studies
from jaxembed.studies import REGISTRY, short, study, verdict
from jaxembed.studies.study import DATA
from jaxembed.tables import Table

STUDIES = Path(jaxembed.studies.__file__).parent
BIBLIOGRAPHY = (Path(__file__).parents[2] / "theory" / "references.bib").read_text(encoding="utf-8")
TINY: dict[str, object] = {}


def tiny(name: str, tmp_path_factory):
    """The tiny result of a study, made once for all tests of this file."""
    if name not in TINY:
        TINY[name] = study(name).result("tiny", keep=tmp_path_factory.mktemp("keep"))
    return TINY[name]


@pytest.mark.parametrize("name", REGISTRY)
def test_a_study_says_what_it_needs_takes_and_cites(name):
    found = study(name)
    assert "tiny" in found.settings and "{" + f"{found.source}," in BIBLIOGRAPHY
    assert len(set(found.ids)) == len(found.ids) and found.ids
    assert set(found.beyond_tiny) < set(found.ids)
    assert found.ledger is None or found.ledger in found.settings
    assert DATA not in (found.tiny_needs if found.tiny_needs is not None else found.needs), "tiny runs anywhere"


def test_no_claim_belongs_to_two_studies():
    ids = [name for place in REGISTRY for name in study(place).ids]
    assert len(set(ids)) == len(ids)


def test_what_makes_evidence_has_typed_arguments():
    """A result of unknown type is one whose evidence nothing checks."""
    for path in STUDIES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.returns and "Evidence" in ast.unparse(node.returns):
                named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                bare = [each.arg for each in named if each.annotation is None or ast.unparse(each.annotation) == "Any"]
                assert not bare, f"{path.name}: {node.name}({', '.join(bare)})"


@pytest.mark.slow
@pytest.mark.float64_only("studies compare with theory in float64")
@pytest.mark.parametrize("name", REGISTRY)
def test_tables_and_evidence_apply_to_the_tiny_result(name, tmp_path_factory):
    found, result = study(name), tiny(name, tmp_path_factory)
    tables, rows = found.tables(result), found.evidence(result)
    assert tables and all(isinstance(table, Table) and table.rows for table in tables)
    assert len({table.name for table in tables}) == len(tables)
    assert rows and {row.id for row in rows} == set(found.ids) - set(found.beyond_tiny)
    assert len({row.id for row in rows}) == len(rows)
    for row in rows:
        assert np.isfinite([end for end in (row.bound.least, row.bound.most) if end is not None]).all(), row.id
        assert row.bound.source or row.bound.kind == "expectation", f"{row.id}: say where its bound comes from"
        assert verdict(row, "tiny") not in ("reproduced", "contradicted")
        assert not row.source or "{" + f"{row.source}," in BIBLIOGRAPHY, row.id
        assert row.got() and row.null_text() and str(row.bound)
    assert not short(rows), "machinery fails at size tiny"
