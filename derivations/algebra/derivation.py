"""What a derivation file exports: statement, steps, residual and numeric form."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from .chain import Chain
from .formula import Formula


@dataclass(frozen=True)
class Wrong:
    """A wrong variant: a chain that must not close, and numbers at which its claim is false."""

    chain: Chain
    witness: Mapping[Any, Any]


@dataclass(frozen=True)
class Proof:
    """The steps, the proved expressions as numeric formulas, and variants that must be rejected."""

    chains: tuple[Chain, ...]
    formulas: Mapping[str, Formula]
    wrong: tuple[Wrong, ...]


@dataclass(frozen=True, eq=False)
class Derivation:
    """One identity or lemma.

    id: its number (papers' or own); also: further numbers it answers to. place: in its chapter.
    doc: title line and prose, the module's docstring. latex: the statement as a reader writes it.
    general: how far the proof reaches, in words. source: paper and number, or "own result".
    correction: where the literature is loose or wrong and what holds instead. The proof is built on
    first use.
    """

    id: str
    place: int
    doc: str
    latex: str
    general: str
    source: str
    build: Callable[[], Proof] = field(repr=False)
    also: tuple[str, ...] = ()
    correction: str = ""

    @property
    def title(self) -> str:
        """First line of the prose."""
        return self.doc.strip().partition("\n")[0].rstrip(".")

    @property
    def prose(self) -> str:
        """The prose without its title."""
        return self.doc.strip().partition("\n")[2].strip()

    @functools.cached_property
    def proof(self) -> Proof:
        """Chains, formulas and wrong variants."""
        return self.build()

    @property
    def statement(self) -> tuple[sp.Basic, ...]:
        """What each chain proves, as SymPy relations."""
        return tuple(chain.states for chain in self.proof.chains)

    @property
    def citations(self) -> tuple[str, ...]:
        """Theorems used without proof, in order, each once."""
        found = [c for chain in self.proof.chains for c in chain.citations]
        return tuple(dict.fromkeys(found))

    @property
    def steps(self) -> int:
        """Number of links."""
        return sum(len(chain.links) for chain in self.proof.chains)

    def residual(self) -> Any:
        """Exactly zero if every link of every chain closes, else the first residual that is not."""
        for chain in self.proof.chains:
            residual = chain.residual()
            if residual != 0:
                return residual
        return sp.S.Zero

    def numeric(self) -> Mapping[str, Formula]:
        """The proved right-hand sides as functions, by name."""
        return self.proof.formulas
