"""SymPy derivations of what the engine, the closed forms and the bounds use.

One file per identity or lemma; each exports DERIVATION, with `statement`, `residual()` (exactly
zero), `numeric()` (the proved expressions as functions, 50 digits or doubles) and wrong variants
that must not close. Nothing of mixdyn is imported, so this route to the truth is a witness of its
own. `python -m derivations` checks all and writes the document.
"""
