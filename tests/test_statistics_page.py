"""The page that explains the statistics names the test that bears each claim."""

import re

import pytest
from places import ROOT

PAGE = (ROOT / "deployments" / "statistics.md").read_text("utf-8")
CITED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


@pytest.mark.parametrize(("file", "test"), CITED)
def test_a_test_that_the_page_names_exists(file, test):
    assert f"def {test}(" in (ROOT / file).read_text("utf-8")


def test_every_section_on_what_is_claimed_names_one():
    sections = dict(re.findall(r"(?ms)^## (.+?)\n(.+?)(?=^## |\Z)", PAGE))
    claims = [title for title, text in sections.items() if "::" not in text]
    assert claims == ["What breaks it"]
