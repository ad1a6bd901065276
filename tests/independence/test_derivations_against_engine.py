"""The symbolic route and the doubles agree, and every formula of the engine has a derivation."""

import types

import pytest

from mixdyn import bounds, crossings, dynamics, oracles
from tests.derivations import compare_bounds, compare_engine, compare_oracles

COMPARISONS = [
    comparison
    for module in (compare_bounds, compare_oracles, compare_engine)
    for comparison in module.COMPARISONS
]
# Public names that carry no formula of their own.
NO_FORMULA = {
    "NEVER",  # a marker
    "steps_left",  # counts nodes of a grid
    "Trap",  # the record of trap_radius
    "PaperTrap",  # the record of paper_trap
    "SaddleBox",  # the record of saddle_box
    # Quadratures: tests/oracles/test_chain_law.py holds them against others and against runs.
    *("AxisLaw", "chain_law", "log_away_probability", "log_gap_probability"),
    "log_middle_probability",
}


@pytest.mark.parametrize("comparison", COMPARISONS, ids=lambda c: c.__name__)
def test_doubles_agree_with_the_derived_formula_at_fifty_digits(comparison):
    comparison()


@pytest.mark.parametrize("module", [bounds, oracles, dynamics, crossings], ids=lambda m: m.__name__)
def test_every_public_formula_is_compared_with_its_derivation(module):
    covered = {function for comparison in COMPARISONS for function in comparison.covers}
    names = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    public = {name: getattr(module, name) for name in names if name not in NO_FORMULA}
    assert public
    missing = [
        name
        for name, value in public.items()
        if not isinstance(value, types.ModuleType) and value not in covered
    ]
    assert not missing, f"no derivation is compared with {missing}"


def test_no_two_comparisons_share_a_name():
    names = [comparison.__name__ for comparison in COMPARISONS]
    assert len(set(names)) == len(names)
