"""The files: complete, escaped, and the same for the same input."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from shapecluster.report._files import write_csv, write_files
from shapecluster.report._findings import StocksFindings
from tests.report.conftest import FORMULA, SCRIPT, SECTOR

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def folder(analysis, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    write_files(analysis, folder)
    return folder


@pytest.fixture(scope="module")
def found(folder) -> dict:
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads((folder / "findings.json").read_text("utf-8"), parse_constant=refuse)


@pytest.fixture(scope="module")
def page(folder) -> str:
    return (folder / "index.html").read_text("utf-8")


class Page(HTMLParser):
    """What a browser would see: tags with their attributes, and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


# What is there


def test_file_names_come_from_numbers_and_never_from_tickers(folder, analysis):
    names = {file.name for file in folder.iterdir()}
    clusters = {f"cluster_{n:02d}.png" for n in range(analysis.findings.choice.k)}
    tables = {"clusters.csv", "ssd_by_k.csv", "lookalikes.csv", "basket.csv", "pairs.csv", "cleaning.csv"}
    assert names == clusters | tables | {"findings.json", "index.html", "ssd_by_k.png", "clusters.png"}


def test_pictures_are_png_files_of_some_size(folder):
    for file in folder.glob("*.png"):
        data = file.read_bytes()
        assert data.startswith(PNG)
        assert int.from_bytes(data[16:20]) >= 700  # pixels across


def test_the_same_analysis_gives_the_same_bytes(analysis, folder, tmp_path):
    write_files(analysis, tmp_path)
    for file in folder.iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes(), file.name


# findings.json


def test_json_has_the_documented_keys(found):
    assert found["schema"] == "shapecluster.findings/1"
    assert list(found) == [
        *("schema", "version", "source", "settings", "data", "choice", "ssd_by_k", "sector_agreement"),
        *("clusters", "near_identical_pairs", "n_near_identical", "look_alikes", "basket", "cleaning"),
        "notes",
    ]


def test_json_agrees_with_the_findings(found, analysis):
    findings: StocksFindings = analysis.findings
    assert found["choice"]["k"] == findings.choice.k
    assert found["choice"]["by_criterion"] == dict(findings.choice.by_criterion)
    assert [row["k"] for row in found["ssd_by_k"]] == [2, 3, 4, 5]
    assert [row["ssd"] for row in found["ssd_by_k"]] == findings.sweep["ssd"].tolist()
    assert sum(cluster["size"] for cluster in found["clusters"]) == findings.n_stocks
    assert {m["ticker"] for c in found["clusters"] for m in c["members"]} == set(findings.members["ticker"])
    assert found["look_alikes"][0]["holding"] == SCRIPT
    assert len(found["basket"]) == 3


def test_json_writes_what_is_unknown_as_null(found):
    flagged = found["cleaning"]["details"]
    assert any(event["size"] is None for event in flagged)
    assert any(event["kind"] == "late listing" for event in flagged)
    assert found["cleaning"]["counts"][0]["events"] >= 1


# CSV


def test_a_formula_becomes_text_in_every_table(folder):
    for file in folder.glob("*.csv"):
        with file.open(newline="", encoding="utf-8") as lines:
            for row in csv.reader(lines):
                for cell in row:
                    assert not cell.startswith(("=", "+", "@", "\t", "\r")), (file.name, cell)
                    assert not cell.startswith("-") or float(cell) < 0, (file.name, cell)
    assert f"'{FORMULA}" in (folder / "clusters.csv").read_text("utf-8")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "\uff1d1"])
def test_each_start_of_a_formula_is_disarmed(tmp_path, text):
    write_csv(pd.DataFrame({"ticker": [text], "lag": [-1]}), tmp_path / "t.csv")
    read = pd.read_csv(tmp_path / "t.csv", dtype=str)
    assert read.loc[0, "ticker"].startswith("'")
    assert read.loc[0, "lag"] == "-1"


def test_tables_can_be_read_back(folder, analysis):
    members = pd.read_csv(folder / "clusters.csv", keep_default_na=False)
    assert members["sbd"].tolist() == pytest.approx(analysis.findings.members["sbd"].tolist())
    sweep = pd.read_csv(folder / "ssd_by_k.csv", index_col="k")
    assert sweep["ssd"].tolist() == pytest.approx(analysis.findings.sweep["ssd"].tolist())


# The page


def test_tickers_and_sectors_are_escaped_on_the_page(page):
    assert SCRIPT not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    seen = Page(page)
    assert not any(tag == "script" for tag, _ in seen.tags)
    assert not any(name.startswith("on") for _, attributes in seen.tags for name in attributes)
    assert any(SECTOR in text for text in seen.text)
    assert not any(tag == "b" and "file" in page for tag, _ in seen.tags if "<b>file</b>" in page)


def test_the_page_needs_nothing_beside_it(page):
    for tag, attributes in Page(page).tags:
        for name in ("src", "href", "srcset", "action", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:image/png;base64,", "#")), (tag, name)
    assert "default-src 'none'" in page
    assert "@import" not in page
    assert not re.search(r"url\s*\(", page)


def test_contents_lead_to_sections_that_exist(page):
    tags = Page(page).tags
    targets = {attributes["href"][1:] for tag, attributes in tags if tag == "a"}
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert targets <= set(ids)
    assert len(ids) == len(set(ids))
    assert {"k", "clusters", "pairs", "look-alikes", "basket", "cleaning"} <= targets


def test_the_page_shows_every_plot_once_with_its_text(page, analysis):
    images = [attributes for tag, attributes in Page(page).tags if tag == "img"]
    assert len(images) == 1 + analysis.findings.choice.k
    assert all(image["alt"] for image in images)


def test_the_page_marks_the_k_that_is_shown(page, analysis):
    marked = re.findall(r'<tr class="chosen">.*?</tr>', page, flags=re.DOTALL)
    assert len(marked) == 1
    assert f'<td class="number">{analysis.findings.choice.k}</td>' in marked[0]


def test_every_member_stands_on_the_page(page, analysis):
    text = " ".join(Page(page).text)
    assert all(ticker in text for ticker in analysis.findings.members["ticker"])


def test_the_page_follows_the_readers_colors_and_width(page):
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page
    assert "@media (max-width" in page
