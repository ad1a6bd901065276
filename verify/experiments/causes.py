"""Interpolation by cause: exact or learned score, DDIM or DDPM, on the problems of both papers."""

from __future__ import annotations

from typing import Any

import numpy as np

from verify.ledger.claim import Case
from verify.measure.interpolation.causes import NAMES, own_cells, paper_cells
from verify.measure.measurement import Measurement


@Measurement
def causes(case: Case) -> dict[str, Any]:
    """n: the numbers of samples that occur; problems (P,); cells (4,) by name; rate, low, high (P,
    4): share and its 95 % interval, NaN where the law was computed; shares (P, 2) of score and
    sampler."""
    found = [own_cells(case), *paper_cells(case)]
    ends = np.array(
        [
            [[end if end is not None else np.nan for end in c.interval(n)] for n in NAMES]
            for c in found
        ]
    )
    counted = [c.samples(name) for c in found for name in NAMES]
    return {
        "n": np.unique([n for n in counted if n is not None]),
        "problems": [c.problem for c in found],
        "cells": NAMES,
        "rate": np.array([[c.rate(name) for name in NAMES] for c in found]),
        "low": ends[..., 0],
        "high": ends[..., 1],
        "shares": np.array([c.shares() for c in found]),
    }
