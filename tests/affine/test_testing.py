"""`assert_sampler`: passes what is right, and fails with the figure."""

import re
from pathlib import Path

import pytest

from mixdyn.testing import assert_sampler

from .functions import flow_euler, heun

SIGMA = {"level": "sigma", "predicts": "x0"}
FLOW = {"level": "flow", "predicts": "velocity"}


def test_samplers_pass_at_their_order():
    assert assert_sampler(heun, 50, gain_atol=0.01, order=2.0, **SIGMA).calls == 99
    assert_sampler(flow_euler, 50, gain_atol=0.06, order=1.0, **FLOW)


@pytest.mark.parametrize(
    ("options", "figure"),
    [
        ({"gain_atol": 0.01}, r"N\(0.7, 0.2\^2\) with 0\.9\d* of its standard deviation"),
        ({"gain_atol": 0.06, "order": 1.5}, r"evaluations\^-(0\.9|1\.0)\d* .* the order 1.5"),
        ({"gain_atol": 0.06, "stds": [0.007]}, r"> gain_atol 0.06"),
    ],
)
def test_a_sampler_that_errs_more_fails_with_its_figure(options, figure):
    with pytest.raises(AssertionError, match=figure):
        assert_sampler(flow_euler, 50, **FLOW, **options)


def test_a_mean_that_is_off_fails():
    def shy(model, x, rng, steps=50):
        return 0.95 * heun(model, x, rng, steps)

    with pytest.raises(AssertionError, match=r"a mean -0\.03\d* off"):
        assert_sampler(shy, 50, gain_atol=0.1, stds=[0.2], **SIGMA)


def test_the_example_of_the_docs_passes():
    page = Path(__file__).parents[2] / "docs" / "your_sampler.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    names = {}
    exec(code, names)
    names["test_euler_is_right_to_one_in_twenty_and_of_first_order"]()
