r"""From a divergence to a probability.

*Data processing.* For atoms $p_k, q_k$ of an event with sums $P, Q$: $\sum_kp_k\log(p_k/q_k) \ge
P\log(P/Q)$, because $\log x \ge 1 - 1/x$ termwise. Applied to an event and its complement it says
that the binary divergence $\mathrm{kl}(P\|Q)$ of the event's probabilities is at most that of the
laws. (General laws: refine partitions.)

*Inversion.* $\partial_p\mathrm{kl}(p\|q) = \log\frac{p(1-q)}{q(1-p)}$ is nonnegative for $p \ge
q$, so $\mathrm{kl}(p\|q) \le K$ is $p \le \mathrm{kl}^{-1}(K; q)$, found by bisection. In closed
form, $\mathrm{kl}(p\|q) \ge p\log(1/q) - \log 2$, since the entropy of a coin is at most $\log2$;
hence $p \le (K + \log2)/\log(1/q)$.
"""

import sympy as sp

from ..algebra.chain import Chain, Gap, Growth, Scaled
from ..algebra.derivation import Derivation, Proof, Wrong
from ..algebra.formula import Formula
from ..algebra.rewriting import CANCEL, DERIVATIVES, LOGARITHMS, RATIONAL, SUMS

N, k = sp.symbols("N k", integer=True, positive=True)
p_k = sp.IndexedBase("p", positive=True)
q_k = sp.IndexedBase("q", positive=True)
s_k = sp.IndexedBase("s", nonnegative=True)
p, q, K = sp.symbols("p q K", positive=True)
x, o = sp.symbols("x o", nonnegative=True)
z = sp.Symbol("z", positive=True)


def kl(first: sp.Expr, second: sp.Expr) -> sp.Expr:
    """Binary divergence."""
    rest = (1 - first) * (sp.log(1 - first) - sp.log(1 - second))
    return first * (sp.log(first) - sp.log(second)) + rest


def _log_inequality() -> tuple[Chain, Chain]:
    """log z >= 1 - 1/z on both sides of z = 1."""
    above = Growth(x, sp.S.Zero, o, Gap(o / (1 + o) ** 2, RATIONAL), RATIONAL)
    below = Growth(x, sp.S.Zero, o, Gap(o / (1 + o), RATIONAL), RATIONAL)
    return (
        Chain("logarithm, z = 1 + x", 1 - 1 / (1 + x)).at_most_growing(
            sp.log(1 + x), above, "slope gap 1/z - 1/z^2"
        ),
        Chain("logarithm, z = 1/(1 + x)", 1 - (1 + x)).at_most_growing(
            -sp.log(1 + x), below, "log(1 + x) <= x"
        ),
    )


def _sum(term: sp.Expr) -> sp.Expr:
    return sp.Sum(term, (k, 0, N - 1))


def _data_processing() -> Chain:
    """log of z_k = (p_k/q_k)/(P/Q) is 1 - 1/z_k + s_k with s_k >= 0."""
    P, Q = _sum(p_k[k]), _sum(q_k[k])
    excess = p_k[k] * (1 - (P / Q) * q_k[k] / p_k[k] + s_k[k])
    return Chain("an event: divergence of the atoms minus that of the sums", sp.S.Zero).at_most(
        _sum(excess), _sum(p_k[k] * s_k[k]), SUMS, "P - (P/Q) Q cancels"
    )


def _slope() -> Chain:
    target = sp.log(p) + sp.log(1 - q) - sp.log(q) - sp.log(1 - p)
    return Chain("slope in p", sp.Derivative(kl(p, q), p)).equals(
        target, DERIVATIVES >> RATIONAL, "differentiate"
    )


def _slope_sign() -> Chain:
    """For p >= q the odds of p are those of q times 1 + x."""
    return Chain("the slope is a logarithm of 1 + x", sp.S.Zero).at_most_growing(
        sp.log(1 + x),
        Growth(x, sp.S.Zero, o, Gap(1 / (1 + o), RATIONAL), RATIONAL),
        "p (1 - q) = (1 + x) q (1 - p)",
    )


def _entropy(scale: sp.Expr) -> Chain:
    """p = (1 + u)/2, u = x/(1 + x) in [0, 1); the other half by symmetry."""
    up, down = (1 + 2 * x) / (2 * (1 + x)), 1 / (2 * (1 + x))
    entropy = -up * sp.log(1 + 2 * x) - (up + down) * -sp.log(2 * (1 + x))
    # derivative of log 2 - entropy in u is (1/2) log((1+u)/(1-u)) = (1/2) log(1 + 2x); du/dx
    inner = Growth(o, sp.S.Zero, z, Gap(2 / (1 + 2 * z), RATIONAL), RATIONAL)
    return Chain("entropy of a coin", sp.expand_log(entropy)).at_most_growing(
        scale * sp.log(2),
        Growth(
            x, sp.S.Zero, o, Scaled(1 / (2 * (1 + o) ** 2), inner, CANCEL), LOGARITHMS >> RATIONAL
        ),
        "log 2 - entropy grows with the distance from 1/2",
    )


def _crude() -> Chain:
    entropy_slack = sp.Symbol("t", nonnegative=True)
    log_rest = sp.Symbol("L_rest", nonnegative=True)  # (1 - p) log(1/(1 - q))
    start = p * sp.log(1 / q) - sp.log(2)
    value = p * sp.log(1 / q) + log_rest - (sp.log(2) - entropy_slack)
    return Chain("a closed lower bound", start).at_most(
        value, log_rest + entropy_slack, RATIONAL, "kl = p log(1/q) + (1-p) log(1/(1-q)) - entropy"
    )


def _build() -> Proof:
    return Proof(
        chains=(
            *_log_inequality(),
            _data_processing(),
            _slope(),
            _slope_sign(),
            _entropy(sp.S.One),
            _crude(),
        ),
        formulas={
            "kl": Formula(kl(p, q), (p, q)),
            "slope": Formula(_slope().end, (p, q)),
            "closed_inverse": Formula((K + sp.log(2)) / sp.log(1 / q), (K, q)),
        },
        wrong=(Wrong(_entropy(sp.Rational(9, 10)), {x: 0.0}),),
    )


DERIVATION = Derivation(
    id="X11 (c)",
    place=3,
    doc=__doc__,
    latex=(
        r"\mathrm{kl}(P(E)\,\|\,Q(E)) \le KL(P\|Q) \ \Rightarrow\ P(E) \le"
        r" \mathrm{kl}^{-1}(KL; Q(E)) \le"
        r" \frac{KL + \log2}{\log(1/Q(E))}"
    ),
    general="any number of atoms (indexed sums); general laws by refinement (cited in words)",
    source="standard; the use for samplers: own result",
    build=_build,
)
