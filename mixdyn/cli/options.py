"""What samplers offer, as options of a command: read from their fields, listed nowhere."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable
from typing import Annotated, Any

import typer

from mixdyn.samplers.options import Offer, Options

from .inputs import options_of


def with_options_of(
    kinds: Iterable[type[Options]], without: Collection[str] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command f(..., **options) that takes the options of these samplers, all None by default."""
    offers: dict[str, dict[str, Offer]] = {}
    for kind in kinds:
        for name, offer in options_of(kind).items():
            if name not in without:
                offers.setdefault(name, {})[kind.name] = offer

    def with_them(command: Callable[..., None]) -> Callable[..., None]:
        *own, rest = inspect.signature(command, eval_str=True).parameters.values()
        taken = [rest.replace(name=n, kind=_BY_NAME, default=None) for n in offers]
        taken = [p.replace(annotation=_annotation(offers[p.name])) for p in taken]
        names = [parameter.name for parameter in own]
        place = names.index("sampler") + 1 if "sampler" in names else len(names)
        own[place:place] = taken
        command.__signature__ = inspect.Signature(own)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in own}
        return command

    return with_them


_BY_NAME = inspect.Parameter.KEYWORD_ONLY


def _annotation(offers: dict[str, Offer]) -> Any:
    """One option from what each sampler says of it: the first one's help, every other default."""
    (_, first), *others = offers.items()
    defaults = [_shown(first)]
    defaults += [f"{name} {_shown(offer)}" for name, offer in others if offer[2] != first.default]
    named = typer.Option(
        help=first.help,
        show_default="; ".join(defaults) if first.default is not None else False,
        metavar="LIST" if first.kind is str else None,
    )
    return Annotated[first.kind | None, named]


def _shown(offer: Offer) -> str:
    return f"{offer.default:g}" if isinstance(offer.default, float) else str(offer.default)
