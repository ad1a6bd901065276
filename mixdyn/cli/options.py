"""The options of a command, read from its request and from what samplers offer: listed nowhere."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, get_type_hints

import typer

from mixdyn.samplers.options import Offer, Options
from mixdyn.support.errors import InputError, MixdynError, one_line
from mixdyn.support.provenance import usable_cores
from mixdyn.support.usage import INTERRUPTED, Json, Quiet, Threads, as_asked

from .inputs import options_of

_Command = Callable[[Any, str | None], None]


@contextmanager
def exit_codes() -> Iterator[None]:
    """Deliberate errors become one line and exit code 2, an interrupt exit code 130."""
    try:
        yield
    except MixdynError as error:
        typer.echo(one_line(error), err=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def kernel_threads(count: int | None) -> Iterator[None]:
    """The kernels take that many threads, no more than there are; they are not loaded for None."""
    if count is None:
        yield
        return
    from mixdyn import kernels

    with kernels.threads(min(count, usable_cores())):
        yield


def asks(
    request: type[Any], kinds: Iterable[type[Options]] = (), without: Collection[str] = ()
) -> Callable[[_Command], Callable[..., None]]:
    """A command f(request, as_json) that takes the fields of a request as options, and those that
    all take: --json, --quiet and --threads. In the place of
    a field `options` it takes those of these samplers, all None by default. InputError where one of
    these has the name of another option, or not one type."""
    offers: dict[str, dict[str, Offer]] = {}
    for kind in kinds:
        for name, offer in options_of(kind).items():
            if name not in without:
                offers.setdefault(name, {})[kind.name] = offer
    of_all = {"json", "as_json", "help", "quiet", "threads"}
    _check(offers, of_all | {own.name for own in dataclasses.fields(request)})
    hints = get_type_hints(request, include_extras=True)
    taken: dict[str, tuple[Any, Any]] = {}
    for own in dataclasses.fields(request):
        if own.name == "options":
            taken |= {name: (_annotation(offer), None) for name, offer in offers.items()}
        elif own.init:
            required = own.default is dataclasses.MISSING
            taken[own.name] = hints[own.name], inspect.Parameter.empty if required else own.default
    taken |= {"as_json": (Json, None), "quiet": (Quiet, False)}
    taken.setdefault("threads", (Threads, None))
    has_threads = any(own.name == "threads" for own in dataclasses.fields(request))

    def with_them(command: _Command) -> Callable[..., None]:
        def asked(*, as_json: str | None, quiet: bool, **given: Any) -> None:
            chosen = {name: given.pop(name) for name in offers}
            threads = given["threads"] if has_threads else given.pop("threads")
            asked_of_all = as_asked(quiet=quiet, threads=threads, json_file=as_json)
            with exit_codes(), asked_of_all, kernel_threads(None if has_threads else threads):
                command(request(**given, **({"options": chosen} if offers else {})), as_json)

        asked.__doc__ = command.__doc__
        asked.__annotations__ = {name: annotation for name, (annotation, _) in taken.items()}
        parameters = [
            inspect.Parameter(name, _BY_NAME, default=default, annotation=annotation)
            for name, (annotation, default) in taken.items()
        ]
        asked.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return asked

    return with_them


_BY_NAME = inspect.Parameter.KEYWORD_ONLY


def _check(offers: dict[str, dict[str, Offer]], reserved: Collection[str]) -> None:
    for name, by_sampler in offers.items():
        (one, first), *others = by_sampler.items()
        if name in reserved:
            raise InputError(
                "an option of a sampler has a name that the command itself does not use",
                f"--{name} of the sampler {one}",
                "Rename the field, or offer it to the library alone.",
            )
        for other, offer in others:
            if offer.kind != first.kind:
                raise InputError(
                    "an option has one type, whichever the sampler",
                    f"--{name}: {first.kind} of {one}, {offer.kind} of {other}",
                    "Rename the field of one of them.",
                )


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
