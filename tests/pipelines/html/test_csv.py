"""Text in a table stays text, whatever it starts with."""

import csv

import pytest

from pipelines.html.csv import write_csv


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://evil")', "\n=1"])
def test_csv_formulas_are_quoted(tmp_path, text):
    write_csv(tmp_path / "table.csv", ["name"], [[text]])
    with open(tmp_path / "table.csv", newline="") as file:
        assert list(csv.reader(file)) == [["name"], [f"'{text}"]]


def test_numbers_and_ordinary_text_stay_as_they_are(tmp_path):
    rows = [["a, b", 'called "so"', "two\nlines", "café", -1.5, 3, None]]
    write_csv(tmp_path / "table.csv", list("abcdefg"), rows)
    with open(tmp_path / "table.csv", newline="", encoding="utf-8") as file:
        assert list(csv.reader(file))[1] == ["a, b", 'called "so"', "two\nlines", "café", "-1.5", "3", ""]
