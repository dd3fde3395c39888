"""Rearranging the code changes no request, no verdict and no word of a report."""

import golden
import pytest


@pytest.mark.slow
@pytest.mark.parametrize("name", golden.CAMPAIGNS)
def test_requests_verdicts_and_report_are_those_of_the_golden_record(name, tmp_path):
    assert not list(golden.differences(golden.record(name), golden.run(name, tmp_path)))


def test_the_record_holds_learning_by_every_acquisition():
    for name in golden.ACQUISITIONS:
        kept = golden.record(f"acquisition-{name}")
        assert any(purpose == "learning" for _, _, _, purpose, *_ in kept["requests"]), name


@pytest.mark.parametrize(
    ("now", "differs"),
    [
        ({"sent": 5, "words": ["0.12345 and −3"]}, False),
        ({"sent": 5, "words": ["0.123451 and −3"]}, False),
        ({"sent": 6, "words": ["0.12345 and −3"]}, True),
        ({"sent": 5, "words": ["0.13 and −3"]}, True),
        ({"sent": 5, "words": ["0.12345 and 3"]}, True),
        ({"sent": 5, "words": ["0.12345 or −3"]}, True),
        ({"sent": 5, "words": []}, True),
        ({"sent": 5}, True),
    ],
)
def test_a_record_differs_by_more_than_last_digits(now, differs):
    assert any(golden.differences({"sent": 5, "words": ["0.12345 and −3"]}, now)) is differs
