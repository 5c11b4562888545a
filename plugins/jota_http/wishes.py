"""What an app may wish for one turn, checked at the edge."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from jota_core.api import Constraint, Sampling, TurnOptions

Share = Annotated[float, Field(ge=0, le=1)]


class SamplingWishes(BaseModel):
    """How the next token is chosen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Share | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    min_p: Share | None = None
    repeat_penalty: Annotated[float, Field(ge=0, le=10)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: Annotated[tuple[str, ...], Field(max_length=16)] = ()


class Wishes(BaseModel):
    """The `options` of a prompt."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str | None = None
    system_extra: Annotated[str, Field(max_length=16_384)] | None = None
    sampling: SamplingWishes = SamplingWishes()
    grammar: str | None = None
    json_schema: dict[str, Any] | None = None
    use_tools: bool = True
    background: bool = False

    @model_validator(mode="after")
    def _one_constraint(self) -> Self:
        if self.grammar is not None and self.json_schema is not None:
            raise ValueError("give `grammar` or `json_schema`, not both")
        return self

    def options(self, model: str | None = None) -> TurnOptions:
        """The same as a fact; `model` counts where no other is wished for."""
        constraint = None
        if self.grammar is not None:
            constraint = Constraint("grammar", self.grammar)
        elif self.json_schema is not None:
            constraint = Constraint("json_schema", self.json_schema)
        sampling = Sampling(**self.sampling.model_dump())
        return TurnOptions(
            self.model or model, self.system_extra, sampling, constraint, self.use_tools, self.background
        )


def sentence_of(error: ValidationError) -> str:
    """The first thing that is wrong, as the end of a sentence; never shows what was sent."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"`{place}`: {first['msg']}." if place else f"{first['msg']}."
