"""Tails and quantiles against SciPy's own distributions, far out in the tails too."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import mixdyn
import verify
from mixdyn.support import laws

P = np.array([1e-12, 2e-9, 1e-6, 0.025, 0.5, 0.8, 0.975])
DEGREES = np.array([1.0, 2.0, 7.5, 400.0])
SIZES = [(1, 0.5), (40, 0.02), (2_500, 0.1), (100_000, 0.3), (2_000_000, 1e-6)]


def test_quantiles_of_continuous_laws_are_scipys():
    p, degrees = P[:, None], DEGREES
    pairs = [
        (laws.normal_quantile(P), stats.norm.ppf(P)),
        (laws.normal_share(-3.0 * P), stats.norm.cdf(-3.0 * P)),
        (laws.student_upper(p, degrees), stats.t.isf(p, degrees)),
        (laws.chi2_quantile(p, degrees), stats.chi2.ppf(p, degrees)),
        (laws.chi2_upper(p, degrees), stats.chi2.isf(p, degrees)),
        (laws.chi2_tail(3.0 * degrees, degrees), stats.chi2.sf(3.0 * degrees, degrees)),
    ]
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-13)
    for a, b in ((1, 40), (37, 2_464), (2_000, 3)):
        ours = [(laws.beta_quantile(p, a, b), laws.beta_upper(p, a, b)) for p in P.tolist()]
        theirs = [stats.beta.ppf(P, a, b), stats.beta.isf(P, a, b)]
        np.testing.assert_allclose(np.transpose(ours), theirs, rtol=1e-9)


@pytest.mark.parametrize(("n", "rate"), SIZES)
def test_binomial_tails_and_quantiles_are_scipys(n, rate):
    law = stats.binom(n, rate)
    counts = sorted({0, n // 50, round(n * rate), min(n, round(n * rate) + 9), n - 1, n})
    for k in counts:
        assert laws.binomial_tail(k, n, rate) == pytest.approx(law.sf(k), rel=1e-9, abs=1e-300)
    ours = laws.log_binomial_mass(counts, n, rate)
    np.testing.assert_allclose(ours, law.logpmf(counts), rtol=1e-9, atol=1e-6)
    for p in P.tolist():
        assert laws.binomial_upper(p, n, rate) == law.isf(p)
        assert laws.binomial_quantile(p, n, rate) == law.ppf(p)


def test_a_rate_of_zero_or_one_leaves_one_count():
    assert laws.binomial_tail(-1, 9, 0.0) == 1.0
    assert [laws.binomial_tail(k, 9, 0.0) for k in (0, 8, 9)] == [0.0] * 3
    assert [laws.binomial_tail(k, 9, 1.0) for k in (0, 8, 9)] == [1.0, 1.0, 0.0]
    assert (laws.binomial_upper(0.01, 9, 0.0), laws.binomial_upper(0.01, 9, 1.0)) == (0, 9)
    assert math.isclose(float(laws.log_binomial_mass(0, 9, 0.0)), 0.0, abs_tol=1e-12)


def test_scipys_distributions_which_take_long_to_import_are_asked_by_tests_alone():
    rooms = [Path(package.__file__).parent for package in (mixdyn, verify)]
    ours = [path for room in rooms for path in room.rglob("*.py")]
    found = [path.name for path in ours if "scipy.stats import" in path.read_text("utf-8")]
    assert len(ours) > 100
    assert not found
