"""python -m tests.same_rows CLAIM ... [--against REV] [options of python -m verify]: whether the
rows of claims are those of another commit.

Runs `python -m verify` in a clean checkout of REV (by default where this branch left main) and in
the working tree, and prints every differing field by its path with both values. Exit status 0 if
none differs, 1 if one does, 2 if the ledger does not run. Checkouts and rows of a commit are kept
in a folder `mixdyn-same-rows` of the system's temporary folder.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import harness

ROOT = Path(__file__).resolve().parents[1]
KEPT = Path(tempfile.gettempdir()) / "mixdyn-same-rows"

# Fields of a row that say nothing about what was measured, and why each may differ.
MAY_DIFFER = {
    "seconds": "how long the row took",
    "origin": "whether it was computed just now, which `--fresh` makes it be in both",
}
NOT_MEASURED = "not applicable"
# Under these a witness may name its comparison, as `quantity` of the row does.
NAMES = ("quantity", "compared")

Row = Mapping[str, Any]


def comparable(row: Row) -> dict[str, Any]:
    """A row without what may differ. Controls of a row that measured nothing are dropped: whether
    they are run at all is a matter of time. So is the name of the comparison in its witness."""
    kept = {name: value for name, value in row.items() if name not in MAY_DIFFER}
    if kept.get("verdict") == NOT_MEASURED:
        kept.pop("mutants", None)
    if kept.get("witness"):
        named = {key for key in NAMES if kept["witness"].get(key) == row.get("quantity")}
        kept["witness"] = {k: v for k, v in kept["witness"].items() if k not in named} or None
    if row.get("origin") == "stored measurement":
        kept["origin"] = row["origin"]
    return kept


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every place at which two values of JSON differ: its path and both values, `...` for none."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            yield from differences(old.get(key, ...), new.get(key, ...), f"{path}.{key}")
    elif isinstance(old, list) and isinstance(new, list):
        for k in range(max(len(old), len(new))):
            sides = (side[k] if k < len(side) else ... for side in (old, new))
            yield from differences(*sides, f"{path}[{k}]")
    elif type(old) is not type(new) or old != new:
        yield path, old, new


def by_place(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Rows under claim, problem and kind of evidence, several of one name told apart."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        name = f"{row['id']} on {row['case']}, {row['basis']}"
        while name in found:
            name += "'"
        found[name] = comparable(row)
    return found


# -- running the ledger --------------------------------------------------------------------------


def git(*words: str) -> str:
    """What git says in the working tree."""
    command = ["git", "-C", str(ROOT), *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.stderr.write(done.stderr)
        raise SystemExit(2)
    return done.stdout.strip()


def ledger_rows(checkout: Path, words: Sequence[str]) -> list[Row]:
    """The rows of `python -m verify` with these words in a checkout."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.json"
        command = [sys.executable, "-m", "verify", *words, "--fresh"]
        command += ["--out", folder, "--json", str(out)]
        alone = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        done = subprocess.run(
            command, cwd=checkout, env=alone, capture_output=True, text=True, check=False
        )
        if not out.is_file():
            sys.stderr.write(done.stdout + done.stderr)
            raise SystemExit(2)
        rows: list[Row] = json.loads(out.read_text(encoding="utf-8"))["rows"]
        return rows


def rows_of_commit(commit: str, words: Sequence[str]) -> list[Row]:
    """The same of a commit, kept from the first time on."""
    folder = KEPT / commit
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"{hashlib.sha256(json.dumps(words).encode()).hexdigest()[:16]}.json"
    if not kept.is_file():
        checkout = folder / "checkout"
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not checkout.exists():
                with tempfile.TemporaryDirectory(dir=folder) as part:
                    files = Path(part) / "files"
                    harness.export(commit, files)
                    files.rename(checkout)
        text = json.dumps(ledger_rows(checkout, words))
        unfinished = kept.with_suffix(f".{os.getpid()}")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(kept)
    rows: list[Row] = json.loads(kept.read_text(encoding="utf-8"))
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Compare and print; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.same_rows", description=__doc__)
    parser.add_argument("claims", nargs="+", help="ids such as T4.2")
    parser.add_argument("--against", metavar="REV", help="where this branch left main")
    arguments, options = parser.parse_known_args(argv)
    files = [str(Path(word).resolve()) if Path(word).is_file() else word for word in options]
    words = [*arguments.claims, *files]
    base = arguments.against or git("merge-base", "main", "HEAD")
    old = by_place(rows_of_commit(git("rev-parse", f"{base}^{{commit}}"), words))
    new = by_place(ledger_rows(ROOT, words))
    found = list(differences(old, new))
    for path, before, after in found:
        sys.stdout.write(f"{path.lstrip('.')}\n  {before!r}\n  {after!r}\n")
    sys.stdout.write(f"{len(old)} rows, {len(found)} differences from {base[:12]}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
