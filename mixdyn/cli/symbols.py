"""What the symbols mean that `mixdyn check` prints: said at its end, of those that stand there."""

from __future__ import annotations

import re

# As they are printed, and their meaning; docs/notation.md has their formulas and units.
SYMBOLS = {
    "T": "the number of noise levels: time T is pure noise, 0 clean data, and sampling goes down",
    "t": "a time of the schedule, 0 to T; t = 1 is the last noisy one",
    "raw time": "a time t of the schedule; DDIM steps count the nodes of the sampler's grid",
    "p_t": "the law of the data with the noise of time t",
    "N(0, I)": "standard normal noise, from which samplers begin",
    "KL": "the divergence of Kullback and Leibler of one law from another",
    "nats": "units of information, of which log 2 are a bit",
    "alpha_bar": "the share of the data's variance that is left at a time, 1 at 0",
    "sigma": "the standard deviation of a mode of the data",
    "radii": "of the two modes together: farther from every mode a sample counts as outside",
    "l": "the distance between the two modes of a pair",
    "Mahalanobis": "their distance in standard deviations along their line",
    "saddle at a": "the place on the line of a pair: 1 at its first mode, 0 at its second",
    "w_i": "the weight of a pair's first mode; w_j of its second",
    "saddle from": "the time at which, towards the data, the midpoint turns unstable: l^2 = 4 v",
    "tau_1": "the time from which on two modes dominate a path by the margin kappa",
    "tau_2": "the time from which on the two modes of a pair are apart: l^2 = 4 kappa d v",
    "d": "the number of dimensions of the data",
    "kappa": "the margin, in the exponent, by which two modes dominate or are apart",
    "v": "the variance of a mode where the means stand still, sigma^2 plus noise over signal",
    "rho": "noise over signal, as variances",
    "e^": "growth: the factor by which two paths may part; an eigenvalue is its rate",
    "alive": "ends that a path still has: one over the chance that two paths from there agree",
    "traps": "starts between two modes that a sampler without noise does not leave",
}


def symbols_in(text: str) -> dict[str, str]:
    """Those of `SYMBOLS` that a text contains, as words of their own."""
    return {
        symbol: meaning
        for symbol, meaning in SYMBOLS.items()
        if re.search(rf"(?<![\w]){re.escape(symbol)}(?!\w)" if symbol != "e^" else r"e\^", text)
    }
