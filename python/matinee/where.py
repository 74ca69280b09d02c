"""Hard filters on films: one model for Python, REST and chat.

A film whose fact is unknown does not pass a filter on that fact; answers count the films left out for it.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from matinee.errors import InvalidArgument


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Span(_Strict):
    """Both ends included; None leaves an end open."""

    min: int | None = None
    max: int | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Span:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"expected min <= max, got min={self.min}, max={self.max}")
        return self


class Range(Span):
    """A span, and not in one of `none`."""

    none: tuple[Span, ...] = Field(default=(), description="Spans left out.")


class AnyNone(_Strict):
    """At least one of `any` (when given) and not one of `none`. Names compare without regard to case."""

    any: tuple[str, ...] = ()
    none: tuple[str, ...] = ()


class AnyAllNone(AnyNone):
    """As AnyNone, and every one of `all`."""

    all: tuple[str, ...] = ()


def _names(value: object) -> object:
    """A bare name or list of names means `any` of them."""
    if isinstance(value, str):
        return {"any": (value,)}
    if isinstance(value, list | tuple):
        return {"any": tuple(value)}
    return value


class Where(_Strict):
    """Which films may be answered with. Empty: all of them. Unknown keys are an error, never ignored."""

    genres: Annotated[AnyAllNone, BeforeValidator(_names)] = Field(default=AnyAllNone())
    year: Range = Field(default=Range())
    runtime: Range = Field(default=Range(), description="Minutes.")
    language: Annotated[AnyNone, BeforeValidator(_names)] = Field(default=AnyNone())
    country: Annotated[AnyNone, BeforeValidator(_names)] = Field(default=AnyNone())
    certificate: Annotated[AnyNone, BeforeValidator(_names)] = Field(default=AnyNone())
    people: Annotated[AnyAllNone, BeforeValidator(_names)] = Field(default=AnyAllNone())
    ids: Annotated[AnyNone, BeforeValidator(_names)] = Field(default=AnyNone())

    @property
    def empty(self) -> bool:
        """True where every film passes."""
        return self == Where()

    @classmethod
    def parse(cls, value: Where | dict[str, Any] | None) -> Where:
        """Accepts what callers pass as `where=`. Raises InvalidArgument naming the key that is wrong."""
        if value is None:
            return cls()
        if isinstance(value, Where):
            return value
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"]) or "where"
            known = ", ".join(cls.model_fields)
            raise InvalidArgument(f"where: {key}: {first['msg']}; known filters: {known}") from error
