r"""Wrong counts on images of three triangles.

Statement: U-Nets trained on images of three separate triangles draw wrong counts, and DDIM, with 50
    and with 250 quadratic steps, draws more of them than DDPM with all 1,000: in the mean over the
    shipped networks, and at no length of training is less of it shown.
Hypotheses:
    - trained: networks of four lengths of training and two seeds each are shipped, and images of
      each were drawn under each sampler. Those without are listed.
Measured: the share of images that do not hold exactly three triangles, by connected parts, a
    detector that makes no error on 10,000 real images; on each network and sampler on noise of its
    own.
Predicted: under DDIM above that under DDPM.
Evidence: learned; two independent counts, ordered by Fisher's exact test, which errs with
    probability at most 1e-6. Means are over equally many images of each network. A length of
    training at which the test shows the contrary counts against the claim; of lengths that it does
    not decide nothing is claimed. DDPM takes 1,000 evaluations an image, over a second of a core:
    counts are saved, and their resolution is said. How many images were drawn was set by what they
    cost, with the first counts in sight; the note says how many would decide what is undecided.
Source: arXiv 2605.06831 v1, F.2 and figure E.10
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mixdyn import learned
from mixdyn.support.statistics import POWER, Proportion
from verify.data.checkpoints.images import CHECKPOINTS
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.relations import Comparison, Outcome
from verify.ledger.sides import Facts, NotApplicable, Part
from verify.ledger.standard import on_standard
from verify.ledger.verdict import Hypothesis, Origin, Table
from verify.measure.images.counts import (
    OWN_PROBLEMS,
    TRIANGLES,
    Drawn,
    by_name,
    drawn,
    in_words,
    planned,
    pooled,
)
from verify.measure.images.midpoints import midpoint_slopes
from verify.measure.images.watching import LEVELS
from verify.measure.networks.order import compare_independent, trials_of_each

CLAIM = Claim.from_docstring(
    __doc__,
    id="E.10",
    short="triangles",
    rests_on={"F1": "the gap, on images"},
    does_not_show=(
        "That it is so at every length of training, or of another network: the table says how far "
        "these differ. That wrong counts are the score's fault alone: images have no exact score "
        "to compare with but that of the training set (X23)."
    ),
)

FEW, MORE, EVERY = "ddim-50", "ddim-250", "ddpm"
LENGTHS, SEEDS = (750, 1500, 3000, 6000), (0, 1)
_MOST = 20_000  # images, beyond which nobody would draw them
NETWORKS = tuple(f"triangles-{steps}-{seed}" for steps in LENGTHS for seed in SEEDS)

Images = Sequence[Drawn]


def measured(case: Case) -> Images | NotApplicable:
    """All images of triangles, where some were drawn under DDIM and DDPM."""
    found = drawn(case, "triangles")
    if not _both(found, FEW):
        return NotApplicable("Not run: no images of triangles were drawn under DDIM and DDPM yet.")
    return found


def _both(found: Images, few: str) -> list[tuple[Drawn, Drawn]]:
    """Per network the images under a sampler of few steps and under DDPM, where there are both."""
    held = by_name(found)
    names = dict.fromkeys(one.network for one in found)
    pairs = [(held.get((name, few)), held.get((name, EVERY))) for name in names]
    return [(one, other) for one, other in pairs if one is not None and other is not None]


@CLAIM.learned(unit="images", of=on_standard(measured, OWN_PROBLEMS))
def wrong_counts(
    case: Case, images: Images, change: Callable[[Images], Images] = lambda images: images
) -> Iterator[Part]:
    """DDIM against DDPM, over all networks and at every length of training."""
    found = change(images)
    for few in (FEW, MORE):
        yield from _compared(found, few)
    yield Hypothesis("trained", planned("triangles", NETWORKS))
    yield Facts(
        model=", ".join(dict.fromkeys(one.network for one in found)),
        witness=lambda _: {"command": found[0].about["command"]},
        seed=0,
        origin=None if found[0].drawn_again else Origin.STORED,
    )
    yield in_words(found)
    yield _not_run(found)
    yield lambda: [_rates(found), _decided(found), *_slopes(case, found)]


@dataclass(frozen=True)
class _Ordered:
    """DDIM with few steps against DDPM: where, and both rates."""

    few: str
    where: str
    larger: Proportion
    smaller: Proportion

    @functools.cached_property
    def comparison(self) -> Comparison:
        """Fisher's exact test."""
        name = f"{self.few} above DDPM, {self.where}"
        return compare_independent(name, self.larger, self.smaller)

    def images_needed(self) -> str:
        """How many would decide it, in words; empty where the rates lie the other way round."""
        if self.larger.rate <= self.smaller.rate:
            return ""
        n = trials_of_each(self.larger, self.smaller, _MOST)
        return f"{self.where}, {f'{n:,}' if n else f'more than {_MOST:,}'}"


def _ordered(few: str, where: str, pairs: Sequence[tuple[Drawn, Drawn]]) -> _Ordered:
    larger, smaller = (pooled(side) for side in zip(*pairs, strict=True))
    return _Ordered(few, where, larger, smaller)


def _compared(found: Images, few: str) -> Iterator[Part]:
    """The mean over the networks, then lengths at which the contrary is shown."""
    pairs = _both(found, few)
    if not pairs:
        yield f"Not run: {few} beside DDPM on any network."
        return
    mean = _ordered(few, "mean over networks", pairs)
    each = [
        _ordered(few, f"{steps} steps", [pair for pair in pairs if pair[0].steps == steps])
        for steps in sorted({one.steps for one, _ in pairs})
    ]
    seen = [one.comparison for one in each]
    yield mean.comparison
    yield from (one for one in seen if one.outcome is Outcome.FAILS)
    shown = sum(one.outcome is Outcome.HOLDS for one in seen)
    text = f"{few} above DDPM: shown at {shown} of {len(each)} lengths of training"
    undecided = [o.resolution for o in seen if o.outcome is Outcome.INCONCLUSIVE]
    sizes = [100.0 * size for size in undecided if size is not None]
    if sizes:
        text += f"; elsewhere DDPM {max(sizes):.2g} percentage points above would have been seen"
    yield f"{text}."
    yield _in_all(few, [mean, *each])


def _in_all(few: str, asked: Sequence[_Ordered]) -> str:
    """How many images would decide what is undecided."""
    undecided = [o for o in asked if o.comparison.outcome is Outcome.INCONCLUSIVE]
    texts = "; ".join(text for one in undecided if (text := one.images_needed()))
    if not texts:
        return ""
    return (
        f"Images of {few} and of DDPM each that would show it with probability {POWER:g}, were the "
        f"rates those counted: {texts}."
    )


def _not_run(found: Images) -> str:
    held = {one.network for one in found}
    missing = [name for name in NETWORKS if name not in held]
    longest = "training takes up to half an hour of a core, a hundred images under DDPM two minutes"
    return f"Not run: {', '.join(missing)}; {longest}." if missing else ""


def _rates(found: Images) -> Table:
    """Every network under every sampler."""
    rows: list[list[Any]] = []
    for one in sorted(found, key=lambda d: (d.sampler, d.steps, d.seed)):
        rate = one.rate
        few, many = (float(np.mean(s)) for s in _sides(one))
        place = [one.sampler, one.steps, one.seed, one.n, one.n_eval]
        rows.append([*place, rate.rate, *rate.interval(), few, many, float(one.odd.mean())])
    columns = (
        *("sampler", "training steps", "seed", "images", "evaluations", "wrong", "from", "to"),
        *("fewer than three", "more", "with an odd part"),
    )
    return Table("Wrong counts, with 95 % intervals", columns, rows)


def _sides(one: Drawn) -> tuple[Any, Any]:
    total = one.counts.sum(axis=1)
    return total < TRIANGLES, total > TRIANGLES


def _decided(found: Images) -> Table:
    """When counts are decided, and who passes by the midpoint of two."""
    rows: list[list[Any]] = []
    watched = [one for one in found if len(one.by_level)]
    for one in sorted(watched, key=lambda d: (d.sampler, d.steps, d.seed)):
        final = one.counts.sum(axis=1, keepdims=True)
        settled = [float(np.mean(column)) for column in (one.by_level == final).T]
        late = one.undecided[:, LEVELS.index(1.0) :].any(axis=1)
        shares = [float(one.wrong[mask].mean()) if mask.any() else None for mask in (late, ~late)]
        rows.append([one.sampler, one.steps, one.seed, *settled, float(late.mean()), *shares])
    columns = (
        *("sampler", "training steps", "seed", *(f"count settled at rho = {v:g}" for v in LEVELS)),
        *("at a midpoint below rho = 1", "wrong of these", "wrong of the others"),
    )
    return Table(
        "The count of the predicted image on the way, and visits of midpoints", columns, rows
    )


def _slopes(case: Case, found: Images) -> Iterator[Table]:
    """The networks' derivatives at midpoints, beside those of two points."""
    if not learned.available():
        return
    rows: list[list[Any]] = []
    for name in dict.fromkeys(one.network for one in found):
        if not (CHECKPOINTS / f"{name}.safetensors").exists():
            continue
        seen = midpoint_slopes(case, name)
        rows.append([name, *(seen["slope"].mean(axis=1) - 1.0).tolist()])
    if rows:
        rows.append(["two images alone", *(seen["two"].mean(axis=1) - 1.0).tolist()])
        columns = ("network", *(f"rho = {level:g}" for level in LEVELS))
        n = seen["slope"].shape[1]
        caption = f"Eigenvalue along n at midpoints of two and three triangles, mean over {n} pairs"
        yield Table(caption, columns, rows)


def _exchanged(found: Images) -> Images:
    """DDIM's and DDPM's images under each other's names."""
    names = {FEW: EVERY, EVERY: FEW, MORE: MORE}
    return [replace(one, sampler=names.get(one.sampler, one.sampler)) for one in found]


def _fewer(share: float) -> Callable[[Images], Images]:
    def change(found: Images) -> Images:
        few = (FEW, MORE)
        return [one.with_share(1.0 - share) if one.sampler in few else one for one in found]

    return change


CLAIM.must_fail(wrong_counts, "samplers exchanged", change=_exchanged)
CLAIM.must_fail_narrowly(wrong_counts, "{} of DDIM's wrong images made right", 1.0, change=_fewer)
