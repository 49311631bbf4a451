"""The settings that the adapters of text files share."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from penstock.adapters.fields import Fields


class TextFilesSettings(BaseModel):
    """Settings of an adapter of text files. A place is a field, or keys joined by dots: ``meta.id``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str | None = Field(
        default=None, description="The place of the id. Default: the field id, otherwise FILE#INDEX."
    )
    version: str | None = Field(default=None, description="The place of a version; it ends the id.")
    title: str | None = Field(default=None, description="The place of the title.")
    content: str | None = Field(default=None, description="The place of the text.")
    max_record_bytes: int | None = Field(
        default=None, ge=1, description="A larger record fails and is not held in memory. Default: 16 MiB."
    )
    max_ratio: int | None = Field(
        default=None, ge=1, description="Refuse a gzip file that unpacks to more than N times its size (200)."
    )
    max_unpacked_bytes: int | None = Field(
        default=None, ge=1, description="Refuse a gzip file that unpacks to more bytes than this (100 GiB)."
    )
    on_bad_file: Literal["stop", "skip"] = Field(
        default="stop",
        description="Skip a file that cannot be read, as one failed document, or stop the run.",
    )

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the source."""
        given = self.model_dump()
        fields = Fields(**{name: given.pop(name) or None for name in ("id", "version", "title", "content")})
        return {"fields": fields, **given}
