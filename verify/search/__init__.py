"""The adversary: problems drawn to make a claim fail, and what it found. No claim.

Hypothesis, of the extra `search`, is imported by it alone.
"""

from importlib.util import find_spec

from mixdyn.support.errors import MissingExtraError


def require() -> None:
    """MissingExtraError where Hypothesis is not installed."""
    if find_spec("hypothesis") is None:
        raise MissingExtraError(
            "--search draws its problems with the extra 'search'; missing hypothesis. "
            "Install it with: pip install 'mixdyn[search]'"
        )
