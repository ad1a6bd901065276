"""The report: a JSON document, and HTML, Markdown, CSV and LaTeX made from it alone."""

from __future__ import annotations

import csv
import io
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mixdyn.run.start import start_error
from mixdyn.support.files import make_folder, write_text
from mixdyn.support.numbers import dump_json, plain, read_number, show_number, show_share
from mixdyn.support.provenance import commit, package_versions, usable_cores
from mixdyn.support.statistics import POWER

from ..ledger.case import Case
from ..ledger.claim import parse_hypotheses
from ..ledger.registry import Entry
from ..ledger.relations import Outcome
from ..ledger.sources import ROOT
from ..measure.networks.models import shipped
from .graph import graph_svg
from .legend import BASES, MARKS, ORIGINS, VERDICTS, summarise_controls, words_on_controls
from .pictures import Picture, find_pictures
from .typeset import to_latex, to_markdown_cell, to_markup

Document = dict[str, Any]
Row = dict[str, Any]

LOUD = (Outcome.FAILS, Outcome.ERROR, Outcome.INCONCLUSIVE)  # what a reader must not miss
_PACKAGES = ("numpy", "scipy", "numba", "python-flint", "sympy", "torch")


# -- the document --------------------------------------------------------------------------------


def _machine() -> dict[str, Any]:
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": usable_cores(),
    }


def _describe_mixture(case: Case) -> dict[str, Any]:
    from mixdyn.geometry import pairwise_distances

    mixture = case.mixture
    facts: dict[str, Any] = {
        "N": mixture.N,
        "d": mixture.d,
        "sigma": list(mixture.std_range),
        "weights": [float(mixture.weights.min()), float(mixture.weights.max())],
        "shortest_distance": None,
        "digest": mixture.digest,
    }
    if mixture.N > 1:
        lengths = pairwise_distances(mixture.means)[np.triu_indices(mixture.N, k=1)]
        facts["shortest_distance"] = float(lengths.min())
    return facts


def _describe_schedule(case: Case) -> dict[str, Any]:
    schedule = case.schedule
    return {
        "T": schedule.T,
        "beta": [float(schedule.beta[1]), float(schedule.beta[-1])],
        "alpha_bar_end": float(schedule.alpha_bar[-1]),
        "start": _describe_start(case),
        "digest": schedule.digest,
    }


def _describe_start(case: Case) -> dict[str, Any]:
    """What a sampler loses by starting from N(0, I) at T, however exact it is."""
    lost = start_error(case.mixture, case.schedule, case.schedule.T)
    (low, high), flow = lost.noisy_weights, lost.flow_weights
    return {
        "kl": lost.kl,
        "weights": case.mixture.weights,
        "noisy_weights": [low, high],
        "flow_weights": flow,
        "words": lost.words() if lost.notable else "",
    }


def _describe_claim(entry: Entry) -> dict[str, Any]:
    doc = entry.claim.doc
    words = {part.lower(): text for part, text in doc.items()}
    stated = parse_hypotheses(doc["Hypotheses"]) or {"none": doc["Hypotheses"]}
    return {**words, "hypotheses": stated, "does_not_show": entry.claim.does_not_show}


def _describe_models(rows: Sequence[Row]) -> dict[str, Any]:
    """Provenance of the shipped networks that the rows name."""
    named = {name for row in rows for name in (row["model"] or "").split(", ")}
    return {
        checkpoint.name: {
            "recipe": checkpoint.recipe,
            "seed": checkpoint.about["seed"],
            "loss": checkpoint.about["loss"]["loss"],
            "excess": checkpoint.about["loss"]["excess"],
            "hardware": checkpoint.about["hardware"],
            "commit": checkpoint.about["commit"],
            "command": checkpoint.about["command"],
        }
        for checkpoint in shipped()
        if checkpoint.name in named
    }


def build_document(
    entries: Sequence[Entry],
    cases: Sequence[Case],
    rows: Sequence[Row],
    drift: Mapping[str, list[str] | None],
) -> Document:
    """The whole run as data. drift: per case what changed, or None for a case without a record."""
    header = {
        "versions": package_versions(_PACKAGES),
        "machine": _machine(),
        "commit": commit(),
        "seed": cases[0].seed,
        "profile": cases[0].profile,
        "cases": {case.name: case.origin for case in cases},
        "mixture": {case.name: _describe_mixture(case) for case in cases},
        "schedule": {case.name: _describe_schedule(case) for case in cases},
        "verdicts": dict(Counter(row["verdict"] for row in rows)),
        "controls": summarise_controls(rows),
        "drift": dict(drift),
        "claims": {entry.claim.id: _describe_claim(entry) for entry in entries},
        "models": _describe_models(rows),
    }
    return {"header": plain(header), "rows": list(rows)}


# -- one row in words ----------------------------------------------------------------------------


def show(row: Row, key: str, digits: int = 4) -> str:
    """The number under `key` of a row, for a table."""
    return show_number(read_number(row, key), digits)


def show_count(row: Row) -> str:
    """How many of how many points satisfied the relation, as in `4,096 of 4,096 points`."""
    if row["n"] is None:
        return "–"
    return f"{row['n_held']:,} of {row['n']:,} {row['unit']}"


def relation_symbol(row: Row) -> str:
    """The sign between measured and bound."""
    return str(row["relation"]["symbol"]) if row["relation"] else ""


# -- outputs -------------------------------------------------------------------------------------

COLUMNS = (
    *("id", "case", "title", "verdict", "basis", "measured", "bound", "truth", "sharper_bound"),
    *("tightness", "applicable_share", "nonvacuous_share", "n", "n_held", "unit"),
    *("excess", "resolution", "controls", "seed", "seconds", "origin"),
    *("source", "note", "does_not_show"),
)


def render_csv(document: Document) -> str:
    """One line a row; values beyond double range as their decimal exponent's power."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in document["rows"]:
        writer.writerow([_csv_cell(row, key) for key in COLUMNS])
    return text.getvalue()


def _csv_cell(row: Row, key: str) -> Any:
    exponent = row.get(f"log10_{key}")
    return show_number(read_number(row, key), 8) if exponent is not None else row[key]


def _environment() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROOT / "verify/report/templates"),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        math=to_markup,
        latex=to_latex,
        cell=to_markdown_cell,
        number=show_number,
        share=show_share,
        count=show_count,
        symbol=relation_symbol,
        json=dump_json,
    )
    words = {"marks": MARKS, "verdicts": VERDICTS, "bases": BASES, "origins": ORIGINS}
    environment.globals.update(
        show=show, graph=graph_svg, on_controls=words_on_controls, loud=LOUD, power=POWER, **words
    )
    return environment


def render(document: Document, template: str, pictures: Mapping[str, Picture] | None = None) -> str:
    """A template of this folder filled with a document, and the figures of its claims."""
    header, rows = document["header"], document["rows"]
    by_claim: dict[str, list[Row]] = {}
    for row in rows:
        by_claim.setdefault(row["id"], []).append(row)
    page = _environment().get_template(template)
    return str(page.render(header=header, rows=rows, by_claim=by_claim, pictures=pictures or {}))


def write_report(document: Document, folder: Path) -> Path:
    """Write verify.json and the four renderings of it; returns the path of the HTML page.

    The page embeds the figures that `figures` has drawn in this folder for its cases.
    """
    make_folder(folder)
    pictures = find_pictures(folder, document)
    outputs = {
        "verify.json": dump_json(document),
        "verify.csv": render_csv(document),
        "index.html": render(document, "report.html.j2", pictures),
        "verify.md": render(document, "report.md.j2"),
        "verify.tex": render(document, "report.tex.j2"),
    }
    for name, text in outputs.items():
        write_text(folder / name, text)
    return folder / "index.html"
