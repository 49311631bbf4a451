"""``penstock schema``: prints the JSON Schema of pipeline files."""

from __future__ import annotations

import json
import sys

from penstock.cli.exits import ALL_COMPLETED
from penstock.cli.options import Debug
from penstock.cli.text import put
from penstock.pipeline_file import json_schema


def show_schema(*, debug: Debug = False) -> int:  # noqa: ARG001  main reads it
    """Print the JSON Schema of pipeline files."""
    put(sys.stdout, *json.dumps(json_schema(), indent=2).splitlines())
    return ALL_COMPLETED
