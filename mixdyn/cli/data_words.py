"""A diagnosis in plain words: of data, and of when a path has chosen."""

from __future__ import annotations

import math

from mixdyn.support.numbers import show_number, show_share

from .facts import CloneFacts, CopyFacts, DataFacts, Diagnosis


def data_sentences(diagnosis: Diagnosis) -> list[str]:
    """Of the points; none where the modes are not data."""
    data = diagnosis.data
    if data is None:
        return []
    found = [_points(data, diagnosis.mixture["d"])]
    if data.nearest:
        found.append(_neighbours(data))
    if data.copies is not None:
        found.append(_copies(data.copies))
    return found


def _points(data: DataFacts, d: int) -> str:
    text = f"{_counted(data.points, 'data point')} in {_counted(d, 'dimension')}"
    if data.bandwidth > 0.0:
        text += f", each a normal law of standard deviation {show_number(data.bandwidth)}"
    if data.places < data.points:
        text += (
            f"; they lie at {_counted(data.places, 'place')}, one of them taken "
            f"{data.most_repeated:,} times"
        )
    return f"{text}."


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def _neighbours(data: DataFacts) -> str:
    low, _, middle, _, high = data.nearest
    first, _, typical, _, _ = data.told_apart_raw
    whose = f"of {data.looked:,} points that were looked at" * (data.looked < data.places)
    text = (
        f"The nearest neighbour is {show_number(middle)} away in the median, {show_number(low)} to "
        f"{show_number(high)} {whose}".rstrip()
    )
    text += f" (a coordinate spreads by {show_number(data.spread)})."
    parts = [f"of the nearest pair {_from(first)}", f"of a typical one {_from(typical)}"]
    return f"{text} A saddle parts the two (l^2 = 4 v) {' and '.join(parts)}."


def _from(raw: int | None) -> str:
    return "at no time" if raw is None else f"from raw time {raw} on"


def _copies(copies: CopyFacts) -> str:
    share = show_share(copies.copies / copies.n)
    what = "of one" if copies.different == 1 else f"of {copies.different} different ones"
    return (
        f"DDIM with {copies.steps} steps and the data's own score returned {copies.n} samples: "
        f"{share} of them are copies of a data point, {what}."
    )


def clone_sentences(diagnosis: Diagnosis) -> list[str]:
    """When a path has chosen its point, mode or label."""
    found = []
    for clones in diagnosis.clones:
        if clones.rho is None:
            found.append(_never(clones))
        else:
            found.append(_chosen(clones))
            if clones.what == "points":
                found.append(_meaning(clones))
    return found


_ONE = {"points": "data point", "modes": "mode", "labels": "label"}


def _never(clones: CloneFacts) -> str:
    first = clones.levels[0]
    return (
        f"Two paths that part at one noisy state end at one {_ONE[clones.what]} in "
        f"{show_share(first.probability)} of cases at the last noisy time: at no noise half way "
        "from chance to always."
    )


def _at(raw: int | None, rho: float) -> str:
    where = f"raw time {raw}" if raw is not None else "a noise that is not on this schedule"
    return f"{where} (noise {show_number(math.sqrt(rho), 3)} in units of the data)"


def _chosen(clones: CloneFacts) -> str:
    if clones.rho is None:
        raise TypeError("only where there is a level")
    half = 1.0 - 0.5 * (1.0 - clones.chance)
    text = (
        f"Two paths that part at one noisy state end at one {_ONE[clones.what]} with probability "
        f"{show_share(half)}, half way from chance, at {_at(clones.raw, clones.rho)}, to "
        f"{show_share(clones.std_error, 2)} in rho"
    )
    if clones.rho_early is not None and clones.rho_late is not None:
        early = "before the schedule" if clones.early_raw is None else clones.early_raw
        late = "after it" if clones.late_raw is None else clones.late_raw
        text += f"; a tenth of the way at {early}, nine tenths at {late}"
    return f"{text}: there the {_ONE[clones.what]} is chosen."


def _meaning(clones: CloneFacts) -> str:
    text = (
        "Below that noise the data's own score leads back to single points: a sampler that has it "
        "returns copies, and a network says something new only where it differs from it."
    )
    if clones.rho_gaussian is None:
        return text
    return (
        f"{text} Of Gaussian data of this covariance as many points would be at "
        f"{_at(clones.gaussian_raw, clones.rho_gaussian)}, where a state and its origin share "
        "log N nats; no other data of this covariance share more."
    )


def route_sentence(diagnosis: Diagnosis) -> str:
    """How the score is evaluated."""
    route = diagnosis.route
    text = f"The score is evaluated by the route `{route.name}`: {route.words}"
    if diagnosis.clones and diagnosis.data is not None:
        levels = diagnosis.clones[0].levels
        few = f"{levels[0].alive:,.3g} at raw time {levels[0].t_raw}"
        many = f"{levels[-1].alive:,.3g} at {levels[-1].t_raw}"
        text += (
            f" A step of one sample would take {route.products:.2g} products with every point; a "
            f"typical state can still end at {few}, at {many} points, and few that matter are few "
            "that are summed."
        )
    return text
