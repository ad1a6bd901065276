"""A diagnosis in plain words: what the numbers of `mixdyn check` mean for a sampler."""

from __future__ import annotations

from mixdyn.support.numbers import show_number, show_share

from .data_words import clone_sentences, data_sentences, route_sentence
from .facts import MIDDLE, PAPER_KAPPA, BudgetFacts, Diagnosis, Stage

_VISIBLE = -6.0  # log10 of the share of l below which no run of practical size meets a trap
_ALIKE = 1e-3  # of two lengths that are one
_SHRUNK = 0.9  # a spread below this share of sigma is worth advice


def explain(diagnosis: Diagnosis) -> list[str]:
    """Sentences, from the mixture itself to the last step."""
    sentences = [_modes(diagnosis)] if diagnosis.pairs else []
    sentences += data_sentences(diagnosis)
    sentences += [s.words for s in diagnosis.starts if s.words]
    if diagnosis.crossings:
        sentences.append(_separation(diagnosis))
        if diagnosis.mixture["N"] > 2:  # two modes have no third to dominate
            sentences.append(_dominance(diagnosis))
    for stage in diagnosis.stages:
        sentences += [_saddle(stage), _trap(stage), *(_budget(stage, b) for b in stage.budgets)]
    spread = [_spread(diagnosis)] if diagnosis.spread else []
    return [*sentences, *spread, *clone_sentences(diagnosis), route_sentence(diagnosis)]


def _modes(diagnosis: Diagnosis) -> str:
    nearest = diagnosis.pairs[0]
    if nearest.length_sigma is None or nearest.length_radii is None:
        return "The nearest modes have no extent along their line: nothing between them is of one."
    apart = f"The nearest modes are {nearest.length_sigma:.4g} sigma apart"
    whitened = nearest.length_whitened
    if whitened is not None and abs(whitened / nearest.length_sigma - 1.0) > _ALIKE:
        apart += f" along their line ({whitened:.4g} by the Mahalanobis length of both)"
    if nearest.length_radii < 1.0:
        return (
            f"{apart}: less than their two classification radii together, so a sample between them "
            "counts as one of a mode and interpolation between them cannot be seen."
        )
    apart = f"{apart}, {nearest.length_radii:.3g} times their two classification radii together"
    if nearest.seen_share == 0.0:
        return (
            f"{apart}, but a sample between them counts as one of a third, wider mode: "
            "interpolation between them cannot be seen."
        )
    seen = show_share(nearest.seen_share)
    return (
        f"{apart}: a sample between them, on {seen} of their segment, is clearly an interpolation."
    )


def _separation(diagnosis: Diagnosis) -> str:
    nearest, parts = diagnosis.pairs[0], []
    times = zip(diagnosis.kappas, nearest.tau_2_raw, nearest.tau_2_steps, strict=True)
    for kappa, raw, steps in times:
        left = f"from raw time {raw} on, the last {steps} DDIM step{'s' * (steps != 1)}"
        parts.append(f"kappa = {kappa:g} {'never' if raw is None else left}")
    return f"They count as separated (l^2 >= 4 kappa d v) for {'; '.join(parts)}."


def _dominance(diagnosis: Diagnosis) -> str:
    kappa = PAPER_KAPPA if PAPER_KAPPA in diagnosis.kappas else diagnosis.kappas[0]
    rows = {(c.process, c.crossing): c for c in diagnosis.crossings if c.kappa == kappa}
    first, fixed = rows["DDIM", "first"].raw_50, rows["DDIM", "last_fixed"].raw_50
    if fixed is None:
        return (
            f"At kappa = {kappa:g} most DDIM trajectories are never left to one fixed pair of "
            "modes: the two-mode theory does not describe them."
        )
    return (
        f"At kappa = {kappa:g} the typical DDIM trajectory is first dominated by two modes at raw "
        f"time {first} and stays with one pair from {fixed} on; from there the two-mode theory "
        "describes it."
    )


def _saddle(stage: Stage) -> str:
    found = [(p, p.saddle) for p in stage.pairs if p.saddle is not None]
    if not found:
        return f"At raw time {stage.tau_raw} no listed pair has a saddle between its modes."
    modes, saddle = found[0]
    return (
        f"At raw time {stage.tau_raw}, {len(found)} of the {len(stage.pairs)} listed pairs have an "
        f"unstable point between their modes. For modes {modes.i} and {modes.j} its largest "
        f"eigenvalue is {saddle.eigenvalues[-1]:.4g} per unit of intrinsic time: DDIM moves away "
        "from it exponentially fast, DDPM's noise also kicks it off."
    )


def _trap(stage: Stage) -> str:
    modes, end = stage.pairs[0], stage.budgets[0].end
    until = "the last noisy state" if end == "last_noisy" else "the end"
    middle = f"the middle of modes {modes.i} and {modes.j} (within {MIDDLE:g} l)"
    radius = next((t.radius_l for t in modes.traps if t.end == end and t.fraction == MIDDLE), None)
    if radius is None:
        exact = modes.no_traps or "it is narrower than 1e-2000 l"
        return (
            f"Were they equal and alone, DDIM with the exact score would keep in {middle} until "
            f"{until} at least what starts within {show_number(modes.safe_start_l[end], 3)} l of "
            f"the midpoint at raw time {stage.tau_raw}; the exact width was not computed ({exact})."
        )
    meaning = "enough to hold a state that an error of the score has put there by then"
    if radius.exponent < _VISIBLE:
        meaning = "so little that a state between the modes at that time still reaches one of them"
    return (
        f"With the exact score, DDIM keeps in {middle} until {until} only what starts within "
        f"{show_number(radius, 3)} l of it at raw time {stage.tau_raw}: {meaning}."
    )


def _budget(stage: Stage, budget: BudgetFacts) -> str:
    end = "the last noisy state" if budget.end == "last_noisy" else "the clean sample"
    text = (
        f"From raw time {stage.tau_raw} to {end}, distance to the owning mode shrinks by "
        f"{budget.ode_factor:.3g} under DDIM and by {budget.sde_factor:.3g} in the mean under "
        f"DDPM: a point half way to its neighbour ends {budget.ode_halfway_sigma:.3g} and "
        f"{budget.sde_halfway_sigma:.3g} sigma from its mode."
    )
    if budget.ode_needs_raw is None:
        return f"{text} No start leaves DDIM enough time to bring it inside the mode radius."
    if budget.ode_needs_raw <= stage.tau_raw:
        return text
    return (
        f"{text} DDIM would have to own it from raw time {budget.ode_needs_raw} on to bring it "
        f"inside the mode radius, DDPM from {budget.sde_needs_raw}."
    )


def _spread(diagnosis: Diagnosis) -> str:
    worst = min(diagnosis.spread, key=lambda row: row.final_over_sigma)
    rows = [row for row in diagnosis.spread if row.sigma == worst.sigma]
    parts = ", ".join(f"{row.final_over_sigma:.3f} sigma ({row.sampler})" for row in rows)
    text = (
        f"Within a mode samplers return a spread of {parts} even with the exact score; the last "
        f"step alone multiplies it by {worst.last_step:.3f}, because the schedule ends at noise "
        f"variance {diagnosis.schedule['last_noise_var']:.3g}, "
        f"{diagnosis.schedule['last_noise_var_sigma2']:.3g} sigma^2."
    )
    if worst.last_step < _SHRUNK:
        return f"{text} A schedule that ends well below sigma^2 would return the right spread."
    if worst.final_over_sigma < _SHRUNK:
        return f"{text} The rest is lost in coarse steps: more of them near the data would help."
    return text
