"""Checks the hooks of a plugin class before it is used; each mistake gets a sentence."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any

import pluggy

from jota_core.api import JotaHooks, Plugin
from jota_core.api.hooks import PROJECT

HOOKS: dict[str, tuple[str, ...]] = {
    name: tuple(inspect.signature(hook).parameters)[1:]
    for name, hook in vars(JotaHooks).items()
    if name.startswith("jota_")
}
"""Every hook with the names of its arguments."""

_AWAITED = frozenset(name for name in HOOKS if inspect.iscoroutinefunction(getattr(JotaHooks, name)))


def check(plugin: type[Plugin[Any]]) -> str | None:
    """The first mistake in the hooks of a class, as a sentence; None when they are fine."""
    return next(_problems(plugin), None)


def _problems(plugin: type[Plugin[Any]]) -> Iterator[str]:
    manager = pluggy.PluginManager(PROJECT)
    for name in dir(plugin):
        function = inspect.getattr_static(plugin, name)
        if not inspect.isfunction(function):
            continue
        options = manager.parse_hookimpl_opts(plugin, name)
        if options is not None:
            yield from _mistakes(options["specname"] or name, function, options)
        elif name in HOOKS:
            yield f"{name} is not marked with @hookimpl, so it would never be called."


def _mistakes(hook: str, function: Callable[..., object], options: pluggy.HookimplOpts) -> Iterator[str]:
    if hook not in HOOKS:
        near = get_close_matches(hook, HOOKS, n=1, cutoff=0.5)
        if not options["optionalhook"]:
            yield f"{hook} is not a hook{f' (did you mean {near[0]}?)' if near else ''}."
        return
    if options["wrapper"] or options["hookwrapper"]:
        yield f"{hook} is a wrapper; Jota calls each implementation by itself, so wrappers are not supported."
    if hook not in _AWAITED and inspect.iscoroutinefunction(function):
        yield f"{hook} must be a plain function (`def`, not `async def`): it runs before any I/O."
    for name in _wanted(function):
        if name not in HOOKS[hook]:
            offered = ", ".join(HOOKS[hook]) or "none"
            yield f"{hook} asks for an argument {name!r} that the hook does not have (it has: {offered})."


def _wanted(function: Callable[..., object]) -> list[str]:
    parameters = list(inspect.signature(function).parameters.values())[1:]
    return [each.name for each in parameters if each.default is each.empty]
