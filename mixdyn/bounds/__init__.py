"""Right-hand sides of the theorems: pure functions of data and arrays. No score, no simulation.

Each docstring names its result. Values beyond the range of doubles are natural logarithms (names
starting with `log_`). The engine's measurements are compared with them: no arithmetic is shared.
"""

from .bend import clock_gap, hull_bend, pair_bend
from .dominance import (
    diagonal_log_ratio,
    dominance_gap,
    orthogonal_remainder,
    parallel_excess,
    responsibility_bound,
    segment_remainder,
    separation_length2,
    separation_variance,
)
from .guidance import guidance_shift_far, guidance_shift_limits
from .insurance import (
    bounded_mean_limit,
    log_kl_coverage,
    log_kl_inverse,
    path_budget,
    pathwise_probability,
    stopped_probability,
)
from .isoperimetry import gap_probability
from .memory import return_at_least, return_at_most
from .outside import last_step_probability, log_start_probability
from .saddle import SaddleBox, saddle_box
from .stability import (
    PaperTrap,
    ball_pull,
    critical_log_weight_ratio,
    equilibrium_slope,
    exit_time,
    growth_exponent,
    log_safe_start,
    midpoint_eigenvalues,
    mixture_growth_exponent,
    ode_budget,
    paper_trap,
    sde_budget,
    tracking_rate,
)
from .terminal import (
    log_brownian_confinement,
    log_linear_confinement,
    log_midpoint_probability,
    log_midpoint_terms,
    reference_drift,
)
from .tube import (
    convex_set_rate,
    laurent_massart_threshold,
    tube_distance,
    tube_distance_high_probability,
    tube_distance_u,
    tube_distance_x,
)

__all__ = [
    "PaperTrap",
    "SaddleBox",
    "ball_pull",
    "bounded_mean_limit",
    "clock_gap",
    "convex_set_rate",
    "critical_log_weight_ratio",
    "diagonal_log_ratio",
    "dominance_gap",
    "equilibrium_slope",
    "exit_time",
    "gap_probability",
    "growth_exponent",
    "guidance_shift_far",
    "guidance_shift_limits",
    "hull_bend",
    "last_step_probability",
    "laurent_massart_threshold",
    "log_brownian_confinement",
    "log_kl_coverage",
    "log_kl_inverse",
    "log_linear_confinement",
    "log_midpoint_probability",
    "log_midpoint_terms",
    "log_safe_start",
    "log_start_probability",
    "midpoint_eigenvalues",
    "mixture_growth_exponent",
    "ode_budget",
    "orthogonal_remainder",
    "pair_bend",
    "paper_trap",
    "parallel_excess",
    "path_budget",
    "pathwise_probability",
    "reference_drift",
    "responsibility_bound",
    "return_at_least",
    "return_at_most",
    "saddle_box",
    "sde_budget",
    "segment_remainder",
    "separation_length2",
    "separation_variance",
    "stopped_probability",
    "tracking_rate",
    "tube_distance",
    "tube_distance_high_probability",
    "tube_distance_u",
    "tube_distance_x",
]
