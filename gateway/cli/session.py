"""Commands that speak to a gateway: each is given the one its user means, and what that refuses ends it with its exit code."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Concatenate, ParamSpec, TypeVar, cast

import typer

from gateway.cli.client import GatewayClient
from gateway.cli.profile import choose
from gateway.cli.refusal import Refused, fail

__all__ = ["on_gateway"]

P = ParamSpec("P")
R = TypeVar("R")

_Url = Annotated[
    str | None, typer.Option("--url", metavar="URL", help="The gateway [DUALRUN_GATEWAY_URL; http://127.0.0.1:8080]", show_default=False)
]
_Profile = Annotated[
    str | None, typer.Option("--profile", metavar="NAME", help="One of `dualrun profiles` [DUALRUN_PROFILE]", show_default=False)
]
_ADDED = tuple(
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
    for name, kind in (("url", _Url), ("profile", _Profile))
)


def on_gateway(command: Callable[Concatenate[GatewayClient, P], R]) -> Callable[..., R]:
    """The command with `--url` and `--profile` in place of its first parameter, the gateway they name.

    Typer reads commands by their signature, so the one it is shown is made here.
    """
    signature = inspect.signature(command, eval_str=True)
    own = tuple(signature.parameters.values())[1:]
    call = cast("Callable[..., R]", command)  # with what Typer has checked against the signature below

    def run(*, url: str | None, profile: str | None, **given: object) -> R:
        try:
            chosen = choose(url, profile)
            return call(GatewayClient(chosen.url, chosen.token), **given)
        except Refused as exc:
            raise fail(exc) from exc

    run.__doc__ = command.__doc__
    run.__name__ = command.__name__
    run.__module__ = command.__module__
    shown = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    run.__signature__ = signature.replace(parameters=[*shown, *_ADDED])  # type: ignore[attr-defined]  # what inspect looks at first
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*shown, *_ADDED)}
    return run
