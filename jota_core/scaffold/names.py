"""From the name that somebody types to the names that a package needs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Self

PREFIX = "jota-"
LONGEST = 30
PATTERN = re.compile(r"[a-z](?:[-_]?[a-z0-9])*")


class ScaffoldError(ValueError):
    """Nothing was written; the message is a sentence for the user."""


@dataclass(frozen=True, slots=True)
class Names:
    """Every name of one plugin; `kettle` and `jota-kettle` mean the same."""

    section: str
    """As in `jota.yaml`: `tea_kettle`."""
    distribution: str
    """As in a package index: `jota-tea-kettle`."""
    package: str
    """As Python imports it and `plugin:` names it: `jota_tea_kettle`."""
    class_name: str
    """`TeaKettle`; the plugin class is `JotaTeaKettle`."""
    title: str
    """`Tea kettle`."""

    @classmethod
    def of(cls, typed: str) -> Self:
        """The names for what was typed. Raises `ScaffoldError`."""
        name = typed.lower().replace("_", "-").removeprefix(PREFIX)
        if not PATTERN.fullmatch(name) or len(name) > LONGEST:
            raise ScaffoldError(
                f"{typed!r} cannot be a plugin's name: use up to {LONGEST} letters, digits and single "
                "hyphens, beginning with a letter, such as `tea-kettle`."
            )
        parts = name.split("-")
        names = cls("_".join(parts), PREFIX + name, "_".join(["jota", *parts]),
                    "".join(part.capitalize() for part in parts), " ".join(parts).capitalize())  # fmt: skip
        if names.package in entry_points(group="jota.plugins").names:
            raise ScaffoldError(f"A plugin named {names.package} is installed already; choose another name.")
        return names
