"""The JSON Schema of pipeline files, for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.pipeline_file.model import PipelineModel

if TYPE_CHECKING:
    from penstock.adapters import AdapterEntry


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a pipeline file, with the settings of every adapter that can be used.

    It describes the file as it is written. What ``load`` finds besides (columns, import paths, places) is not
    in it.
    """
    from penstock.adapters import find_adapters

    schema = PipelineModel.model_json_schema()
    entries, _ = find_adapters()
    definitions = schema["$defs"]
    source = definitions["SourceTable"]
    source["properties"]["adapter"]["anyOf"] = [
        {"enum": [entry.name for entry in entries]},  # an editor offers these; other machines may have more
        {"type": "string"},
    ]
    source["allOf"] = [_settings_of(entry, definitions) for entry in entries]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Penstock pipeline"}


def _settings_of(entry: AdapterEntry[Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the rule for the settings of one adapter; it moves what they refer to into ``definitions``."""
    template = f"#/$defs/{entry.name}.{{model}}"
    settings = entry.settings.model_json_schema(ref_template=template)
    definitions.update({f"{entry.name}.{name}": model for name, model in settings.pop("$defs", {}).items()})
    is_it = {"properties": {"adapter": {"const": entry.name}}, "required": ["adapter"]}
    return {"if": is_it, "then": {"properties": {"settings": settings}}}
