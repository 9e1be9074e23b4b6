"""The table of `make mutants` fits the code, and its command tells killed mutations from surviving ones."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.mutants import MUTATIONS, ROOT, survivors


@pytest.mark.parametrize("mutation", MUTATIONS, ids=str)
def test_each_mutation_changes_one_line_and_names_tests_that_exist(mutation):
    assert mutation.problem() is None
    assert mutation.tests
    for test in mutation.tests:
        path, *_, name = test.split("::")
        assert re.search(rf"^ *def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE), test


def test_forty_mutations_reach_every_part_that_computes():
    assert len(set(map(str, MUTATIONS))) == 40
    assert {mutation.path.split("/")[0] for mutation in MUTATIONS} == {
        *("_core", "neighbors", "model_selection", "prices", "portfolios", "preprocessing")
    }


def test_a_change_that_no_named_test_notices_survives():
    kind = next(m for m in MUTATIONS if m.path == "model_selection/_criteria.py")
    assert survivors(kind) is None
    assert "survives" in survivors(replace(kind, after=f"{kind.before}  # the same"))
