"""Which result rests on which, and why: the one place where that is written down.

Ids are the ledger's. O1 to O4 are the closed forms of `mixdyn.oracles`, which carry no verdict.
"""

from __future__ import annotations

CLOSED_FORMS = {
    "O1": "reverse SDE: exact law",
    "O2": "PF ODE: exact map",
    "O3": "linear off the hull",
    "O4": "two-mode field",
}

# A few words for a box, used where the ledger has no row and so no title.
SHORT = {
    "G.1": "marginals and score",
    "G.2": "static coordinates",
    "G.3": "orthogonal remainder",
    "G.4": "extended segment",
    "G.5": "chi-square tail",
    "G.6": "Brownian confinement",
    "A4.1": "two-mode dominance",
    "A4.4": "separation",
    "T4.2": "tube convergence",
    "C4.3": "trapping in the tube",
    "P4.5": "mode stability",
    "C4.6": "tracking",
    "P4.7 (1)": "saddle at the midpoint",
    "P4.7 (2)": "midpoint trapping",
    "P5.1": "midpoint bound",
    "B.1 (1)": "unequal weights",
    "B.1 (2)": "its displacement",
    "C.2": "inexact: overshoot",
    "C.3": "inexact: tube",
    "C.4": "inexact: saddle",
    "C.5": "inexact: eigenvalue",
    "C.6": "inexact: midpoint",
    "D.1": "diagonal avoidance",
    "E.11": "which window",
    "E.12": "midpoint spectra",
    "E.13": "rate against eta",
    "E.16": "ablations",
    "F1": "DDIM above DDPM",
    "F3": "rate against steps",
    "F4": "paths to the segment",
    "F5": "rate against radius",
    "I.1": "decomposition",
    "X1": "intrinsic time",
    "X2": "shrinks as sigma_t",
    "X2'": "any convex set",
    "X3": "sharp trapping",
    "X4": "budget trapping",
    "X5": "sharp midpoint bound",
    "X6": "hybrids: exact law",
    "X7": "the last step",
    "X8": "better noise",
    "X9": "orders of convergence",
    "X10": "whose fault",
    "X11": "noise as insurance",
    "M1": "no interpolation",
    "M1 (2)": "the paper's own lines",
    "M1'": "none in continuous time",
    "M2": "the score is smoothed",
    "M3": "nearest neighbours",
    "M4": "data and distance",
    "M5": "the detector",
    "M5'": "the law of Hal",
    "M6": "training on samples",
    "M7": "filter before retraining",
}

# claim -> {what it rests on: what it takes from there}
FOUNDATIONS: dict[str, dict[str, str]] = {
    "G.2": {"G.1": "the score"},
    "G.3": {"G.2": "the drift, split along a pair", "A4.1": "the margin bounds the other modes"},
    "G.4": {"G.3": "the weight of the other modes"},
    "T4.2": {
        "G.3": "the remainder R",
        "A4.1": "one pair dominates to the end",
        "G.5": "the distance at the start",
    },
    "C4.3": {"G.3": "the remainder R"},
    "P4.5": {"O4": "the two-mode field", "G.2": "the pull of the other modes"},
    "C4.6": {"P4.5": "an invariant ball around the mode", "G.2": "the Jacobian Cov/v - I"},
    "P4.7 (1)": {
        "O4": "the two-mode field",
        "G.2": "the Jacobian Cov/v - I",
        "A4.1": "the other modes are negligible at the midpoint",
    },
    "P4.7 (2)": {"P4.7 (1)": "the eigenvalue", "X1": "the time left"},
    "P5.1": {
        "G.1": "the drift of the bisector coordinate",
        "G.6": "confinement of the noise",
        "A4.4": "the time from which it is stated",
    },
    "B.1 (1)": {"O4": "the two-mode field", "P4.7 (1)": "the saddle that moves"},
    "B.1 (2)": {
        "B.1 (1)": "the saddle of the pair by itself",
        "G.3": "the margin bounds the field's error",
        "O2": "the level that divides the basins",
    },
    "C.2": {"G.4": "the interval that widens"},
    "C.3": {"T4.2": "the tube that widens"},
    "C.4": {
        "P4.7 (1)": "the eigenvalue",
        "B.1 (1)": "a constant error acts like unequal weights",
    },
    "C.5": {"P4.7 (1)": "the eigenvalue that flips"},
    "C.6": {"P5.1": "the bound it extends"},
    "D.1": {"A4.1": "the diagonal pair dominates"},
    "E.11": {"I.1": "the split by visits, its window varied"},
    "E.12": {"P4.7 (1)": "the exact eigenvalue", "C.5": "what a learned score makes of it"},
    "E.13": {"F1": "its two ends"},
    "E.16": {"F1": "the gap, on other problems"},
    "F3": {"F1": "the gap, at every number of steps"},
    "F4": {"X2": "the envelope", "C.3": "the floor under it"},
    "F5": {"C.5": "the trap at the midpoint", "X4": "the budget at its rim"},
    "I.1": {"F1": "the rates that it splits"},
    "X1": {"G.2": "flow and reverse SDE in y"},
    "X2": {"T4.2": "the tube", "X1": "e^-u as a ratio of standard deviations"},
    "X2'": {"G.2": "m is a convex combination of means", "X1": "the clock"},
    "X3": {"G.2": "the Jacobian Cov/v - I", "X1": "its integral in closed form"},
    "X4": {"O3": "linear where one mode owns the point", "O1": "the conditional mean"},
    "X5": {"O1": "the law of the reference diffusion"},
    "X6": {"O1": "the stochastic part", "O2": "the deterministic part"},
    "X7": {"G.1": "the denoiser within one mode"},
    "X8": {"O1": "the true variance of a reverse step"},
    "X9": {"O1": "the exact law", "O2": "the exact flow"},
    "X10": {"F1": "the gap between samplers", "M1": "the exact score makes none"},
    "M1": {"G.1": "the exact score"},
    "M1 (2)": {"M1": "on the paper's own problems"},
    "M1'": {"O1": "the reverse SDE ends in the data's law", "O2": "so does the flow"},
    "M2": {"P4.7 (1)": "the exact slope", "C.5": "the error's slope that lowers it"},
    "M3": {"D.1": "why diagonals are avoided"},
    "M4": {"M2": "the turn that data sharpen"},
    "M5": {"M5'": "the law of Hal inside one mode"},
    "M5'": {"O1": "the reverse process whose predictions it follows"},
    "M7": {"M5": "the detector that filters", "M6": "retraining on own samples"},
    "O1": {"G.1": "time reversal of the forward process"},
    "O2": {"G.2": "the flow conserves the distribution function"},
    "O3": {"G.2": "m stays in the hull of the means"},
    "O4": {"G.2": "the field of two modes"},
}

# ours -> {the published result it sharpens or replaces: how}
SHARPER: dict[str, dict[str, str]] = {
    "X2": {"T4.2": "the same bound, without a schedule"},
    "X2'": {"T4.2": "plain segment, any weights, no split"},
    "X3": {"P4.7 (2)": "no factor 3/2, every start"},
    "X5": {"P5.1": "complete, and not vacuous"},
    "X11": {"C.6": "a guarantee from the score error alone"},
    "M1'": {"M1": "what survives of it, and what steps add"},
}


def foundations(claim_id: str) -> dict[str, str]:
    """What a claim rests on directly, with a word why; empty for one that is not listed."""
    return FOUNDATIONS.get(claim_id, {})


def ancestors(claim_id: str) -> set[str]:
    """Everything that a claim rests on, directly or not."""
    found: set[str] = set()
    waiting = list(foundations(claim_id))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(foundations(name))
    return found
