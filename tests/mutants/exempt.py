"""Constants that no comparison can notice, each with the reason.

Keyed by (file, function, the innermost expression around the constant). What belongs here steers an
algorithm (where it looks, when it stops, which of two valid forms it takes) or drops out of the
result; a constant of a formula never does. An entry that fits no constant any more is an error.
"""

from __future__ import annotations

_FLOW, _BALLS = "mixdyn/oracles/flow.py", "mixdyn/oracles/flow_arb.py"
_HYBRID, _NORMAL = "mixdyn/oracles/hybrid.py", "mixdyn/oracles/normal.py"
_SEPARABLE, _TWO = "mixdyn/oracles/separable.py", "mixdyn/oracles/two_modes.py"
_TERMINAL, _DYNAMICS = "mixdyn/bounds/terminal.py", "mixdyn/geometry/dynamics.py"

_SLOPE = "enters the slope of Newton's iteration alone: the root is where the value vanishes"
_ERROR = "enters the error estimate that sends doubtful points to ball arithmetic"
_STOP = "decides when an iteration stops or which safeguarded step it takes"
_FORM = "switches between two forms that agree on both sides of the switch"
_BITS = "working precision: the certified radius decides, not this"
_TOLERANCE = "a tolerance"
_COUNT = "counts or indexes"
_BRACKET = "an end of a bracket that holds the root with room to spare"
_STATIC = "any alpha_bar gives the same law in static coordinates, given the noise-to-signal ratio"

_SADDLE, _WINDOW = "mixdyn/bounds/saddle.py", "mixdyn/oracles/window_variance.py"
_INSURANCE, _OUTSIDE = "mixdyn/bounds/insurance.py", "mixdyn/bounds/outside.py"
_LINEAR, _ISOPERIMETRY = "mixdyn/oracles/linear.py", "mixdyn/bounds/isoperimetry.py"
_CONTOUR = "moves a path of integration between the same singularities"
_GUARD = "refuses input, or catches an end at which nothing is left to compute"
_COIN_END = "math.inf if m == 1.0 else first + (1.0 - x) * (math.log1p(-x) - math.log1p(-m))"
_GROWTH_END = "np.where(a > -1.0, (1.0 + a) * np.log1p(a) - a, 1.0)"

_CLONES = "mixdyn/oracles/clones.py"
_TRAP = "mixdyn/oracles/trap.py"

EXEMPT: dict[tuple[str, str, str], str] = {
    (_INSURANCE, "", "np.arange(1, 64) / 64.0"): "places in a bracket, of which any serve",
    (_CLONES, "log_two_mode_parting", "14.0 * std"): "an end beyond which next to nothing is left",
    (_CLONES, "information_rho", "2.0 * wanted"): _BRACKET,
    (_CLONES, "information_rho", "top - 2.0 * wanted - 1.0"): _BRACKET,
    (_CLONES, "information_rho", "top + math.log(spectrum.size / wanted) + 1.0"): _BRACKET,
    (_CLONES, "information_rho", "brentq(excess, *ends, xtol=1e-14)"): _TOLERANCE,
    (_INSURANCE, "_divergence_from", "np.minimum(log_x - log_p, 1.0)"): _FORM,
    (_INSURANCE, "_divergence_from", "excess < 1.0"): _FORM,
    (_INSURANCE, "_divergence_to", "np.minimum(ratio, 1.0)"): _FORM,
    (_INSURANCE, "_divergence_to", "excess < 1.0"): _FORM,
    (_INSURANCE, "_growth", "a > -1.0"): _GUARD,
    (_INSURANCE, "_growth", _GROWTH_END): "the limit at a = -1, a point that no double reaches",
    (_INSURANCE, "pathwise_probability", "np.minimum(share + rest, 1.0)"): _GUARD,
    (_INSURANCE, "path_budget", "room >= 2.0"): _GUARD,
    (_INSURANCE, "bounded_mean_limit", "share > 1.0"): _GUARD,
    (_INSURANCE, "bounded_mean_limit", "chance >= 1.0"): _GUARD,
    (_INSURANCE, "_coin", "x == 1.0"): _GUARD,
    (_INSURANCE, "_coin", "m == 1.0"): _GUARD,
    (_INSURANCE, "_probability", "array <= 1.0"): _GUARD,
    (_ISOPERIMETRY, "gap_probability", "np.minimum(reach, 1.0)"): _FORM,
    (_ISOPERIMETRY, "gap_probability", "reach < 1.0"): _FORM,
    (_OUTSIDE, "", "np.geomspace(0.001, 100000000.0, 1200)"): "ends of a grid of orders, far out",
    (_OUTSIDE, "", "np.geomspace(1e-06, 1.0, 400, endpoint=False)"): (
        "ends of a grid of shares: every one of them gives a bound"
    ),
    (_OUTSIDE, "last_step_probability", "most > 1.0"): "a pair at the edge adds next to nothing",
    (_OUTSIDE, "last_step_probability", "min(1.0, (own + between).min())"): _GUARD,
    (_SADDLE, "", "np.linspace(0.04, 0.96, 24)"): "ends of the spreads tried: each gives a box",
    (_SADDLE, "radius", "1.001 * pull"): _STOP,
    (_SADDLE, "radius", "0.25 * self.length"): "where the search for a radius gives up",
    (_SADDLE, "_boxes", "np.maximum(radius, 1e-300)"): _GUARD,
    (_SADDLE, "_boxes", "1.0 - across / np.maximum(radius, 1e-300)"): (
        "negative either way where it counts, and no part of the slack elsewhere"
    ),
    ("mixdyn/oracles/reverse.py", "reverse_mixture", "nu_t < 0.5"): _FORM,
    (_TERMINAL, "log_linear_confinement", "np.minimum(log_z, 10.0)"): _FORM,
    (_TERMINAL, "log_linear_confinement", "log_z < -10.0"): _FORM,
    (_FLOW, "", "0.5 * math.log(2.0 * math.pi)"): _SLOPE,
    (_FLOW, "", "2.0 * math.pi"): _SLOPE,
    (_FLOW, "_log_rounding", "4.0 + 3.0 * _finite(a)"): _ERROR,
    (_FLOW, "_log_rounding", "3.0 * _finite(a)"): _ERROR,
    (_FLOW, "_log_density", "0.5 * z2"): _ERROR,
    (_FLOW, "_log_density", "0.5 * math.log(v)"): _ERROR,
    (_FLOW, "_bracket", "8.0 * _EPS"): _BRACKET,
    (_FLOW, "_bracket", "1.0 + r"): _BRACKET,
    (_FLOW, "_bracket", "np.maximum(1.0, own.max())"): _BRACKET,
    (_FLOW, "_bracket", "1.0 - own"): _BRACKET,
    (_FLOW, "_solve", "0.5 * (low + high)"): "where the iteration starts",
    (_FLOW, "_solve", "0.5 * (a + b)"): _STOP,
    (_FLOW, "_solve", "slope > 1e-290"): _STOP,
    (_FLOW, "_solve", "2 * _EPS"): _STOP,
    (_FLOW, "_log_balance", "0.5 * np.square(y[:, None] - axis.values)"): _SLOPE,
    (_FLOW, "_log_balance", "0.5 * math.log(v)"): _SLOPE,
    (_FLOW, "_log_balance", "0.5 * np.log1p(axis.excess / v)"): _SLOPE,
    (_BALLS, "flow_axis_arb", "2 * bits"): _BITS,
    (_BALLS, "flow_interval_arb", "2 * bits"): _BITS,
    (_TRAP, "_around_separatrix", "2 * bits"): _BITS,
    (_TRAP, "_around_separatrix", "2 * abs(low).max(abs(high))"): _ERROR,
    (_TRAP, "_around_separatrix", "2 * reach"): _ERROR,
    (_BALLS, "goal", "as_arb(2.0)"): _TOLERANCE,
    (_BALLS, "_newton", "root.rad() * 4"): _STOP,
    (_BALLS, "_bisect", "(0.5, 0.4375, 0.59375)"): _STOP,
    (_HYBRID, "_check_stages", "1 - 1e-12"): _TOLERANCE,
    (_HYBRID, "_draw", "1.0 / (1.0 + rho_t)"): _STATIC,
    (_HYBRID, "_draw", "1.0 + rho_t"): _STATIC,
    (_HYBRID, "_draw", "1.0 / (1.0 + rho_s)"): _STATIC,
    (_HYBRID, "_draw", "1.0 + rho_s"): _STATIC,
    (_NORMAL, "log_interval", "0.001 / (1.0 + np.abs(mid))"): _FORM,
    (_NORMAL, "log_interval", "1.0 + np.abs(mid)"): _FORM,
    (_NORMAL, "log_interval", "width * (1.0 + np.abs(mid)) < 0.001"): _FORM,
    ("mixdyn/oracles/reduction.py", "affine_hull", "np.abs(mixture.means).max() * 0.001"): (
        _TOLERANCE
    ),
    (_SEPARABLE, "product_grid", "1e-12 * table"): _TOLERANCE,
    (_SEPARABLE, "_grid_lines", "8 * _ULP"): _TOLERANCE,
    (_SEPARABLE, "_grid_lines", "np.flatnonzero(np.diff(label)) + 1"): _COUNT,
    (_SEPARABLE, "_separate_line", "mixture.d - 1"): _COUNT,
    (_WINDOW, "tail", "0.5 / scale.max()"): _CONTOUR,
    (_WINDOW, "tail", "1.0 + tau ** 2"): _CONTOUR,
    (_WINDOW, "quantile", "part >= 1.0"): _GUARD,
    (_WINDOW, "weighted", "min(abs(0.5 * l * y / v), 350.0)"): _GUARD,
    (_WINDOW, "pair_error", "-0.5 * l"): "where the interval of a quadrature is divided",
    (_WINDOW, "pair_error", "quad(weighted, a, b, limit=400, epsabs=1e-14)"): _TOLERANCE,
    (_LINEAR, "kept_share", "-8.0 * np.finfo(float).eps"): _TOLERANCE,
    (_BALLS, "interval_levels_arb", "lower + 1"): _COUNT,
    (_BALLS, "interval_levels_arb", "WIDTH_BITS + 4"): _BITS,
    (_BALLS, "separatrix_arb", "lower + 1"): _COUNT,
    (_BALLS, "first_bracket", "2 * step"): _BRACKET,
    (_WINDOW, "tail", "min(1.0, max(0.0, total))"): "takes rounding above 1 off a probability",
    (_WINDOW, "quantile", "middle - 40.0"): _BRACKET,
    (_WINDOW, "quantile", "middle + 8.0"): _BRACKET,
    (_WINDOW, "_root", "brentq(function, low, high, xtol=1e-12, rtol=1e-12)"): _TOLERANCE,
    (_TWO, "two_mode_equilibria", "0.5 * min(0.25, abs(bias) / (strength + 5.0))"): _BRACKET,
    (_TWO, "two_mode_equilibria", "min(0.25, abs(bias) / (strength + 5.0))"): _BRACKET,
    (_TWO, "two_mode_equilibria", "strength + 5.0"): _BRACKET,
    (_TWO, "two_mode_equilibria", "[-0.5, -nearest, nearest, 0.5]"): _BRACKET,
    (_TWO, "two_mode_equilibria", "nearest < abs(t) < 0.5"): _BRACKET,
    (_TWO, "_root", "max(low / high, high / low) > 4.0"): _STOP,
    (_TWO, "_root", "brentq(function, low, high, xtol=5e-324, rtol=8.9e-16)"): _TOLERANCE,
    (_TWO, "two_mode_drift", "np.clip(0.5 * log_odds, -1.0, 1.0)"): _FORM,
    (_TWO, "two_mode_drift", "np.abs(log_odds) < 2.0"): _FORM,
    (_TWO, "_turning_logit", "s < 0.5"): _FORM,
    (_TWO, "_turning_logit", "2.0 * math.atanh(s)"): _BRACKET,
    (_TWO, "_turning_logit", "2.0 * math.log(0.5 * (1.0 + s) * math.sqrt(k))"): _BRACKET,
    (_TWO, "_turning_logit", "0.5 * (1.0 + s)"): _BRACKET,
    (_TWO, "_turning_logit", "1.0 + s"): _BRACKET,
    (_TWO, "gap", "x < 1.0"): _FORM,
    (_TWO, "_pitchfork_branch", "1.0 - 1e-09"): _BRACKET,
    (_TWO, "_pitchfork_branch", "1.0 + excess"): _BRACKET,
    (_TWO, "_pitchfork_branch", "1.0 + 1e-09"): _BRACKET,
    (_TWO, "_pitchfork_branch", "high / 2.0"): _BRACKET,
    (
        _TWO,
        "_pitchfork_branch",
        "brentq(gap, min(low, high / 2.0), high, xtol=5e-324, rtol=8.9e-16)",
    ): _TOLERANCE,
    (_DYNAMICS, "_artanh_excess", "abs(w) > 0.3"): _FORM,
    (_DYNAMICS, "_newton_step", "ratio - 1.0"): _SLOPE,
    (_DYNAMICS, "_newton_step", "np.maximum(np.abs(slope), 1e-08)"): _STOP,
    (_DYNAMICS, "_descend", "fraction = 1.0"): _STOP,
    (_DYNAMICS, "_descend", "fraction *= 0.5"): _STOP,
    (_DYNAMICS, "_descend", "1.0 - _SUFFICIENT_DECREASE * fraction"): _STOP,
    (_DYNAMICS, "saddle", "1.0 - _TIE_RTOL"): _TOLERANCE,
    (_DYNAMICS, "_pair_saddle", "span < 1.0"): "guards an overflow at s = 1",
    (_DYNAMICS, "_pair_saddle", "-0.5 * span"): _BRACKET,
    (_DYNAMICS, "_pair_saddle", "0.5 * span"): _BRACKET,
    (_DYNAMICS, "_pair_saddle", "0.5 * (low + high)"): _STOP,
    ("mixdyn/geometry/dominance_times.py", "_two_members", "chosen.shape[1] - 1"): _COUNT,
}
