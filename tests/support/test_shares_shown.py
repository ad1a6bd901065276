"""A share in per cent says 100 % of all alone, and 0 % of none."""

import re
from pathlib import Path

import pytest

from mixdyn.support.numbers import show_share

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("count", "n", "text"),
    [
        (99_995, 100_000, "99.995 %"),
        (99_999, 100_000, "99.999 %"),
        (4_095, 4_096, "99.976 %"),
        (993, 1000, "99.3 %"),
        (9_960, 10_000, "99.6 %"),
        (10, 10, "100 %"),
        (0, 10, "0 %"),
        (1, 100_000, "0.001 %"),
        (1, 3, "33.3 %"),
        (2, 3, "66.7 %"),
        (1, 2, "50 %"),
    ],
)
def test_a_count_is_shown_with_the_digits_that_tell_it_from_all_and_none(count, n, text):
    assert show_share(count / n) == text


@pytest.mark.parametrize("digits", [1, 2, 3, 4])
@pytest.mark.parametrize("missing", range(1, 40))
def test_no_share_below_one_rounds_to_all_of_it(digits, missing):
    for n in (50, 10**3, 10**5, 10**9):
        text = show_share(1.0 - missing / n, digits)
        assert float(text.removesuffix(" %")) < 100.0
        if missing / n < 0.5:
            shown = 100.0 - float(text.removesuffix(" %"))
            assert shown == pytest.approx(100.0 * missing / n, rel=0.05)


def test_no_share_is_a_dash():
    assert show_share(None) == "–"


def test_every_text_leaves_the_rounding_of_shares_to_the_one_function():
    # A constant of the source has the digits that it is written with.
    own = re.compile(r"\{100(?:\.0)? ?\* [^{}]*:\.\d[gf]\} ?%|\{(?!_?[A-Z_]+:)[^{}]*:\.\d%\}")
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("mixdyn", "verify")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if own.search(line)
    ]
    assert found == []
