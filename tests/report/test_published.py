"""The page of published figures is what the stored measurements give."""

from mixdyn.support.statistics import Proportion
from verify.report.published import PAGE, Figure, Steps, figures, page


def test_the_page_is_up_to_date():
    assert PAGE.read_text() == page(), "write it with python -m verify.report.published"


def test_a_line_has_ratio_and_interval_or_says_that_it_was_not_run():
    cells = Figure("x", 0.05, Proportion(10, 100), "M5").line().split(" | ")
    assert cells[1:4] == ["5 %", "10 %", "2"]
    low, high = Proportion(10, 100).interval()
    assert cells[4] == f"{100 * low:.3g} % to {100 * high:.3g} %"
    assert "not run" in Figure("x", 0.05, None, "M5").line()
    assert {figure.claim for figure in figures()} == {"A4.4", "M5", "M8 (1)"}


def test_the_published_steps_after_separation_are_those_of_the_standard_problem():
    (steps,) = (figure for figure in figures() if isinstance(figure, Steps))
    assert steps.line().endswith("| 9 | 9 | 1 | exact |  | A4.4 |")
