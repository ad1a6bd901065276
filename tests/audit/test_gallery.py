"""The gallery: what is offered, how rows are kept, what the page makes of them."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from mixdyn import GaussianMixture, NoiseSchedule
from mixdyn.affine import impulses
from mixdyn.audit.adapters import offered
from mixdyn.audit.gallery import orders
from mixdyn.audit.gallery import rows as measured
from mixdyn.audit.gallery.keeping import FILE, fill, read
from mixdyn.audit.gallery.mechanism import Law, Mechanism, fault, judge
from mixdyn.audit.gallery.orders import Unsettled, settled
from mixdyn.audit.gallery.page import cards, page, shown
from mixdyn.audit.gallery.rows import Network, key, own, rows_of
from mixdyn.score.exact import ExactScore
from mixdyn.support.errors import FileError
from mixdyn.sweeps.executors import Here

DOCS = Path(__file__).parents[2] / "docs"
TRAILING = {"clip_sample": False, "timestep_spacing": "trailing"}


class AtTimes:
    """The exact score, as a network has it."""

    d = 2

    def __init__(self, mixture, schedule):
        self._exact = ExactScore(mixture, schedule)

    def eps(self, x, t):
        return self._exact.eps(x, int(t))


@pytest.fixture(scope="module")
def network():
    mixture, schedule = GaussianMixture([[-1.0, 0.0], [1.0, 0.0]], 0.1), NoiseSchedule.linear()
    return Network("two", mixture, AtTimes(mixture, schedule), schedule)


# -- what is offered -----------------------------------------------------------------------------


def test_what_a_library_offers_is_found_in_it():
    pytest.importorskip("diffusers")
    pytest.importorskip("torchdiffeq")
    pytest.importorskip("torchsde")
    found, missing = offered()
    by_library = {}
    for spec, settings in found:
        library, _, name = spec.partition(":")
        by_library.setdefault(library, []).append((name, settings))
    assert {"diffusers", "torchdiffeq", "torchsde"} <= set(by_library)
    assert all("pip install" in line for line in missing)
    schedulers = dict(by_library["diffusers"])
    assert {"DDIMScheduler", "DPMSolverSDEScheduler", "FlowMatchEulerDiscreteScheduler"} <= set(
        schedulers
    )
    assert "KarrasVeScheduler" not in schedulers  # its step has another interface
    assert len(schedulers) > 25
    ddim = [settings for name, settings in by_library["diffusers"] if name == "DDIMScheduler"]
    assert all(settings["clip_sample"] is False for settings in ddim)
    assert [settings.get("timestep_spacing") for settings in ddim] == [
        None,
        "trailing",
        "linspace",
        None,
    ]
    assert ddim[-1]["eta"] == 1.0
    assert {"euler", "rk4", "dopri5"} <= set(dict(by_library["torchdiffeq"]))
    assert {"euler", "srk"} <= set(dict(by_library["torchsde"]))
    keys = [key({"spec": spec, "settings": settings, "steps": 1}) for spec, settings in found]
    assert len(set(keys)) == len(keys)


def test_ours_are_those_that_run_any_model():
    assert [o for o in own() if o in (
        ("ddim", {"eta": 1.0}),
        ("ddpm", {}),
        ("exact", {}),
    )] == [("ddim", {"eta": 1.0}), ("ddpm", {})]  # fmt: skip


# -- rows ----------------------------------------------------------------------------------------


def test_a_sampler_has_a_card_for_each_count_and_runs_on_networks_at_equal_evaluations(network):
    pytest.importorskip("torchdiffeq")
    rows = list(rows_of(("torchdiffeq:heun2", {}), [network], {}, [5, 20]))
    assert [(row["steps"], row.get("network")) for row in rows] == [
        (5, None),
        (20, None),
        (25, None),
        (25, "two"),
    ]
    assert rows[2]["n_eval"] == 50.0
    assert len(rows[2]["curve"]) == 32
    assert sum(rows[3]["counts"]) == 5_000
    ours = list(rows_of(("ddim", {"eta": 1.0}), [network], {}, [50]))
    assert ours[1]["counts"] == [5_000, 0, 0]
    assert ours[1]["spread"] == pytest.approx(0.9, abs=0.1)
    assert abs(ours[1]["weight_error"]) < 2e-3


def test_a_plan_between_the_times_of_a_network_does_what_it_does_with_the_exact_score(network):
    def sigmas(model, x, rng, steps):
        levels = np.append(np.geomspace(80.0, 0.02, steps), 0.0)
        for now, then in itertools.pairwise(levels):
            x = x + (x - model(x, now)) / now * (then - now)
        return x

    given = {"level": "sigma", "predicts": "x0"}
    x, n_eval = measured._ends(sigmas, given, 30, network)
    plan = measured.transcribe(sigmas, 30, **given)
    exact = measured.ByPlan(plan, None).ends(network.mixture, len(x), 0)
    assert n_eval == 30
    assert np.abs(x - exact).max() < 5e-3
    assert np.abs(x - exact).max() > 0.0


def test_a_failure_is_its_line_and_the_rest_goes_on():
    pytest.importorskip("diffusers")
    bad, good = rows_of(("diffusers:DDIMScheduler", TRAILING), [], {}, [61, 50])
    assert "t = -1" in bad["error"]
    assert good["gain"][::2] == pytest.approx([0.091, 0.869], abs=6e-4)


def test_a_plan_too_large_to_be_read_off_is_told_apart_from_what_is_not_affine(
    network, monkeypatch
):
    monkeypatch.setattr(impulses, "_BYTES", 1e3)
    row, learned = rows_of(("ddim", {}), [network], {}, [50])
    assert row["large"]
    assert row["why"] == "to read its plan off would take 4.49e+04 bytes"
    assert sum(learned["counts"]) == 5_000
    assert "by sampling (to read its plan off" in judge([row]).why
    assert judge([{**row, "gain": [1.0, 1.0, 0.9, 1.0]}]).mechanism == Mechanism.ONCE
    monkeypatch.undo()
    assert "large" not in next(rows_of(("ddim", {}), [], {}, [50]))


def test_rows_are_strict_json_of_few_digits():
    assert measured.short({"a": [np.float64(1.0) / 3.0, np.nan], "b": np.int64(3)}) == {
        "a": [0.33333, None],
        "b": 3,
    }


def test_a_network_of_modes_that_are_not_isotropic_runs():
    mixture = GaussianMixture([[-1.0, 0.0], [1.0, 0.0]], variances=[[0.02, 0.005]] * 2)
    schedule = NoiseSchedule.linear()
    long = Network("long", mixture, AtTimes(mixture, schedule), schedule)
    *_, row = rows_of(("ddim", {"eta": 1.0}), [long], {}, [50])
    assert row["counts"][0] > 4_900
    assert row["spread"] == pytest.approx(0.9, abs=0.1)


# -- keeping -------------------------------------------------------------------------------------

OFFERS = [("ddim", {}), ("ddim", {"eta": 1.0})]


def test_a_gallery_goes_on_where_it_broke_off(tmp_path, network, monkeypatch):
    path, told, made = tmp_path / FILE, [], []
    audit = measured.audit

    def counted(spec, steps, **settings):
        made.append((spec, steps, settings.get("eta")))
        return audit(spec, steps, **settings)

    monkeypatch.setattr(measured, "audit", counted)
    asked = {"counts": [5, 50], "executor": Here()}  # where the audits are counted
    first = fill(path, OFFERS, [network], lambda *said: told.append(said), **asked)
    assert made == [("ddim", 5, None), ("ddim", 50, None), ("ddim", 5, 1.0), ("ddim", 50, 1.0)]
    assert told == [(1, 2, "ddim: 3 rows, 3 new"), (2, 2, "ddim eta=1.0: 3 rows, 3 new")]
    assert read(path) == first
    # Broken off within the last line, and a row short: only these are made again.
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:1], *lines[2:5], lines[5][:30]]))
    made.clear()
    assert fill(path, OFFERS, [network], lambda *said: None, **asked) == first
    assert made == [("ddim", 50, None)]
    assert path.read_text().splitlines() == lines
    # Rows of samplers that are not asked for stay.
    made.clear()
    assert len(fill(path, OFFERS[1:], [network], lambda *said: None, **asked)) == 6
    assert made == []


def test_processes_find_the_same_rows(tmp_path):
    alone, together = (
        fill(tmp_path / f"{jobs}.jsonl", OFFERS, [], lambda *said: None, jobs=jobs, counts=[5, 10])
        for jobs in (1, 2)
    )
    assert alone == together
    assert all("error" not in row for row in alone)


def test_a_file_that_is_no_gallery_is_refused(tmp_path):
    path = tmp_path / FILE
    path.write_text("{}\n{}\n")
    with pytest.raises(FileError, match="line 1"):
        read(path)


# -- the page ------------------------------------------------------------------------------------


def card(spec="library:sampler", steps=50, **facts):
    """A row as a sampler without a fault has it."""
    row = {
        "spec": spec, "settings": {}, "steps": steps, "library": "library", "version": "1.0",
        "n_eval": float(steps), "why": None, "gain": [1.0, 1.0, 1.0, 1.0], "gain_half": 0.0,
        "mean_error": [0.0, 0.0, 0.0, 0.0], "clock": [1, 0.0, 1.0, 1.0], "asked": [100.0, 1e-4],
        "end": 0.0, "quotient": 1.0, "order": 1.0, "floor": 0.0, "outside": [0, 10_000],
        "trapped": None, "price": None, "w2": 0.01, "seeded": True,
    }  # fmt: skip
    return {**row, **facts}


POSTERIOR = 1.0 / np.hypot(1.0, 0.01 / 0.007)
NOISE = np.hypot(1.0, 0.01 / 0.007)


@pytest.mark.parametrize(
    ("facts", "law", "words"),
    [
        ({}, Law.ALL, "nothing above 2 %"),
        (
            {"gain": [POSTERIOR, 1.0, 1.0, 1.0], "asked": [100.0, 0.01]},
            Law.ALL_BUT_FINE,
            "posterior mean, 0.573 of the spread 0.007",
        ),
        (
            {"gain": [NOISE, 1.0, 1.0, 1.0], "end": 0.01},
            Law.ALL_BUT_FINE,
            "returns at noise 0.01 and leaves that in: 1.74 of the spread 0.007",
        ),
        (
            {"gain": [0.1, 1.0, 1.0, 1.0], "asked": [100.0, 0.01]},
            Law.ALL_BUT_FINE,
            "0.1 of the spread 0.007 where the posterior mean has 0.573",
        ),
        (
            {"gain": [0.5, 1.0, 1.0, 1.0], "asked": [100.0, 0.0]},
            Law.ALL_BUT_FINE,
            "at noise 0, returns 0.5 of the spread 0.007 where the posterior mean has 1",
        ),
        ({"gain": [1.0, 1.0, 0.9, 1.0]}, Law.NOT, "at 0.2 it returns 0.9 of the spread"),
        ({"gain": [1.0, 1.0, 0.9, 1.0], "quotient": 4.0}, Law.NOT, "differ by up to 4"),
        ({"clock": [7, 0.3, 1.0, 1.35]}, Law.ALL, "at call 7 its state has noise 1.35"),
        ({"mean_error": [0.0, 0.0, 0.03, 0.0]}, Law.NOT, "mean of data of spread 0.2 is +0.03"),
        ({"outside": [500, 10_000]}, Law.NOT, "5 % of M ends outside"),
        ({"seeded": False}, Law.ALL, "the same seed gives another sample"),
        ({"why": "it clips"}, Law.ALL, "not affine (it clips)"),
        ({"gain": [1.0, 1.0, 0.97, 1.0], "gain_half": 0.02}, Law.ALL, "nothing above 2 %"),
        ({"asked": [0.01, 100.0]}, Law.BACKWARDS, "from data to noise"),
    ],
)
def test_a_judgement_is_made_of_the_facts(facts, law, words):
    found = judge([card(**facts)])
    assert found.law == law
    assert words in found.why


def test_what_more_steps_do_is_told():
    errors = {10: 0.4, 100: 0.04}
    rows = [card(steps=n, gain=[1.0, 1.0, 1.0 - e, 1.0]) for n, e in errors.items()]
    assert "evaluations^-1" in judge(rows).why
    assert (
        "worse than 0.96 at 10"
        in judge(
            [card(steps=n, gain=[1.0, 1.0, 1.0 - e, 1.0]) for n, e in ((10, 0.04), (100, 0.4))]
        ).why
    )
    exact_before = [card(steps=10), card(gain=[1.0, 1.0, 0.6, 1.0])]
    assert "worse than 1 at 10" in judge(exact_before).why
    right = card(steps=1000)
    assert judge([*rows, right]) == judge([right, *rows])
    assert judge([*rows, right]).since == 1000
    failed = {"spec": "library:sampler", "settings": {}, "steps": 2000}
    failed["error"] = "a rule; received a value. A remedy."
    assert "with 2000 steps it fails (a value)" in judge([right, failed]).why


def test_the_page_ranks_merges_and_tells_what_has_no_card():
    ends = {"n_eval": 50.0, "weight_error": 1e-3, "spread": 0.9, "network": "net"}
    failed = {"spec": "library:bad", "settings": {}, "steps": 50, "error": "r; received w. R."}
    rows = [
        card("library:worse", w2=0.2),
        {**card("library:worse", w2=0.2), **ends, "counts": [99, 1, 0]},
        card("library:better", w2=0.1),
        {**card("library:better", w2=0.1), **ends, "counts": [90, 5, 5]},
        card("library:twin", w2=0.1),
        {**card("library:twin", w2=0.1), **ends, "counts": [90, 5, 5]},
        {**card("library:twin", w2=0.3), "settings": {"eta": 1.0}},
        failed,
    ]
    lines = page(rows).splitlines()
    ranked = lines[lines.index("## At 50 evaluations") :]
    better, worse, *other = [line for line in ranked if line.startswith("|")][2:7]
    assert lines.index("## Who returns the data's law") < lines.index("## At 50 evaluations")
    assert better.startswith("| `library:better`, `library:twin` | 50 |")
    assert worse.startswith("| `library:worse` |")
    assert other[2].startswith("| `library:twin` eta=1.0 |")  # folded, below a head of its own
    learned = lines[lines.index("## On trained networks") :]
    first, second = [line for line in learned if line.startswith("|")][2:4]
    assert first.startswith("| `library:worse` | 50 | 1.00 (")
    assert second.startswith("| `library:better`, `library:twin` | 50 | 10.00 (")
    assert "| `library:bad` | w |" in lines
    assert any(line.startswith("- 4 public samplers") for line in lines)


def test_samplers_with_none_outside_stand_apart_where_their_spreads_do():
    ends = {"n_eval": 50.0, "weight_error": 0.0, "network": "net", "counts": [100, 0, 0]}
    rows = [
        {**card(f"library:{name}"), **ends, **facts}
        for name, facts in (
            ("narrow", {"spread": 0.4, "weight_error": 0.6}),
            ("right", {"spread": 1.0}),
            ("twin", {"spread": 1.0}),
        )
    ]
    cards_ = [card(f"library:{name}") for name in ("narrow", "right", "twin")]
    learned = page([*cards_, *rows]).split("## On trained networks")[1].splitlines()
    first, second = [line for line in learned if line.startswith("| `")][:2]
    assert first.startswith("| `library:right`, `library:twin` | 50 | 0.00 (")
    assert second.startswith("| `library:narrow` | 50 | 0.00 (")


def rungs(error, counts=(5, 10, 20, 25, 40, 50, 80, 100, 160, 200), rounding=1e-15):
    """A ladder of one call a step."""
    counts = list(counts)
    return {
        "steps": counts, "calls": counts, "error": [error(n) for n in counts], "rounding": rounding,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("ladder", "told", "floor"),
    [
        (rungs(lambda n: 3.0 * n**-4), 4.0, 0.0),
        (rungs(lambda n: n**-1.0 + 0.01), 1.0, 0.01),
        (rungs(lambda n: 3.0 * n**-4, rounding=1e-9), 4.0, 0.0),  # from 5 to 40 steps alone
        (rungs(lambda n: n**-1.0, counts=(5, 10, 20, 40)), 1.0, 0.0),
        (rungs(lambda n: 3.0 * n**-4, rounding=1e-6), Unsettled.ROUNDS, None),
        (rungs(lambda n: (-1) ** int(np.log2(n)) / n), Unsettled.TURNS, None),
        (rungs(lambda n: n**-1.0 + 300.0 * n**-3.0), Unsettled.DRIFTS, None),
        (rungs(lambda n: 1.0 / n, counts=(5, 10, 20)), Unsettled.FAILS, None),
        (None, Unsettled.NOT_RUN, None),
    ],
)
def test_an_order_is_told_where_two_doublings_agree(ladder, told, floor):
    found = settled(ladder)
    (one,) = shown([card(ladder=ladder) if ladder else card()])
    assert one.settled == found
    head = page([card(**({"ladder": ladder} if ladder else {}))])
    cells = head.split("## At 50 evaluations")[1].split("| 50 |")[1].split("|")
    if floor is None:
        assert found is told
        assert (cells[3].strip(), cells[4].strip()) == (told.value, "–")
    else:
        assert found.order == pytest.approx(told, rel=0.02)
        assert found.floor == pytest.approx(floor, abs=1e-6)
        assert cells[3].strip() == f"{told:.1f}"


def test_a_ladder_has_the_digits_that_rows_of_cards_lose():
    """Fourth order, though its error at 50 steps is what a row of five digits rounds to."""
    pytest.importorskip("torchdiffeq")
    found = settled(orders.ladder("torchdiffeq:rk4", {"process": "edm", "sigma_min": 0.1}))
    assert found.order == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize(
    ("facts", "mechanism"),
    [
        ({}, Mechanism.NONE),
        ({"gain": [POSTERIOR, 1.0, 1.0, 1.0], "asked": [100.0, 0.01]}, Mechanism.SHRUNK),
        ({"gain": [NOISE, 1.0, 1.0, 1.0], "end": 0.01}, Mechanism.NOISY),
        ({"gain": [0.1, 1.0, 1.0, 1.0], "asked": [100.0, 0.01]}, Mechanism.NARROW),
        ({"gain": [3.0, 1.0, 1.0, 1.0], "asked": [100.0, 0.01]}, Mechanism.WIDE),
        ({"gain": [1.0, 1.0, 0.9, 1.0], "why": "it clips"}, Mechanism.NOT_AFFINE),
        ({"gain": [1.0, 1.0, 0.6, 1.0], "consistency": [1.0] * 4}, Mechanism.CONSISTENCY),
        ({"outside": [500, 10_000]}, Mechanism.OTHERWISE),
        ({"gain": [1.0, 1.0, 0.9, 1.0]}, Mechanism.SLOW),
        ({"gain": [1.0, 1.0, 0.61, 1.0]}, Mechanism.STALLED),
    ],
)
def test_a_judgement_names_its_mechanism(facts, mechanism):
    before = card(steps=10, gain=[1.0, 1.0, 0.6, 1.0])
    assert judge([before, card(**facts)]).mechanism == mechanism


def test_one_number_of_steps_tells_nothing_of_more():
    assert judge([card(gain=[1.0, 1.0, 0.9, 1.0])]).mechanism == Mechanism.ONCE


@pytest.mark.parametrize(
    ("received", "told"),
    [
        ("noise_var must be >= 0; received -0.00019505", "it asks the model where noise_var is"),
        ("a rule; received library:bad, which draws tokens", "which draws tokens"),
        ("a rule; received shape (64, 2) with 0 non-finite entries in what it hands call 2",
         "it hands call 2, a batch of another size"),
    ],
)  # fmt: skip
def test_a_fault_is_told_in_words(received, told):
    assert fault({"spec": "library:bad", "error": f"{received}. A remedy."}).startswith(told)


def test_the_page_of_cards_has_one_for_each_sampler_that_runs():
    curve = [[0.003, 0.5], [3.0, 1.0]]
    rows = [card("library:far", w2=0.2), card("library:near", w2=0.1, curve=curve)]
    rows.append({"spec": "library:bad", "settings": {}, "steps": 50, "error": "r; received w. R."})
    found = cards(rows)
    assert found.index("library:near") < found.index("library:far")
    assert "library:bad" not in found
    assert 'points="0,58.5 360,45.0"' in found
    assert len(cards(read(DOCS / FILE))) < 1_500_000


# -- what is shipped -----------------------------------------------------------------------------

ZOO = {  # G and S at 50 steps, G at 1000 (None: it fails), outside, as they were measured by hand
    ("DDIMScheduler", None): (0.881, 0.496, 0.9925, 6e-4),
    ("DDIMScheduler", "trailing"): (0.869, 0.091, None, 6e-4),
    ("DDIMScheduler", "linspace"): (0.912, 0.535, None, 6e-4),
    ("DDPMScheduler", None): (0.795, 0.474, 0.9815, 5e-4),
    ("EulerDiscreteScheduler", None): (0.879, 0.496, 0.9925, 7e-4),
    ("EulerAncestralDiscreteScheduler", None): (0.793, 0.474, 0.9815, 5e-4),
    ("HeunDiscreteScheduler", None): (1.012, 0.973, 0.9988, 1e-4),
    ("LMSDiscreteScheduler", None): (1.001, 0.561, 1.0, 1e-2),
    ("DPMSolverMultistepScheduler", None): (0.938, 0.088, None, 1e-4),
    ("UniPCMultistepScheduler", None): (0.939, 0.088, None, 1e-4),
    ("PNDMScheduler", None): (0.998, 1.542, 1.0012, 84e-4),
    ("EDMEulerScheduler", None): (0.936, 0.873, 0.9968, 1e-4),
    ("EDMDPMSolverMultistepScheduler", None): (1.008, 0.968, 1.0, 0.0),
    ("FlowMatchEulerDiscreteScheduler", None): (0.950, 0.427, 0.9975, 1e-4),
    ("KDPM2AncestralDiscreteScheduler", None): (1.102, 1.251, 0.9994, 21e-4),
}


def shipped():
    return {
        (row["spec"].partition(":")[2], row["settings"].get("timestep_spacing"), row["steps"]): row
        for row in read(DOCS / FILE)
        if "network" not in row
        and row["spec"].startswith("diffusers")
        and set(row["settings"]) <= {*TRAILING, "beta_start", "beta_end", "beta_schedule"}
    }


@pytest.mark.parametrize("name", ZOO)
def test_the_shipped_cards_have_the_figures_measured_by_hand(name):
    G, S, late, outside = ZOO[name]
    cards = shipped()
    row = cards[(*name, 50)]
    assert [row["gain"][2], row["gain"][0]] == pytest.approx([G, S], abs=6e-3)
    assert row["outside"][0] / 10_000 == pytest.approx(
        outside, abs=3 * (outside / 1e4) ** 0.5 + 3e-4
    )
    if late is not None:
        assert cards[(*name, 1000)]["gain"][2] == pytest.approx(late, abs=6e-4)


def test_the_shipped_cards_are_those_of_this_code():
    pytest.importorskip("diffusers")
    for row in (shipped()["DDIMScheduler", None, 50], shipped()["HeunDiscreteScheduler", None, 50]):
        fresh = next(rows_of((row["spec"], row["settings"]), [], {}, [50]))
        assert list(json.loads(json.dumps(fresh))) == list(row)
        for name in ("n_eval", "gain", "w2", "order", "end", "quotient"):
            assert fresh[name] == pytest.approx(row[name], rel=2e-3), name


def test_the_shipped_page_is_that_of_the_shipped_rows():
    rows = read(DOCS / FILE)
    assert (DOCS / "samplers.md").read_text(encoding="utf-8") == page(rows)
    with_cards = {key({**row, "steps": 0}) for row in rows if "gain" in row and ":" in row["spec"]}
    assert len(with_cards) >= 40
