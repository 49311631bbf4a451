"""``penstock init``: writes a pipeline file that runs offline as it stands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from penstock.cli.exits import ALL_COMPLETED
from penstock.cli.job import UsageProblem, program
from penstock.cli.options import AtLeastOne, Debug
from penstock.cli.text import clean, count, put, shell_command
from penstock.pipeline_file.template import TEMPLATE

SAMPLE: Final = "sample.xml.gz"
RECORDS: Final = 1_000


def init(
    file: Path = Path("pipeline.toml"),
    /,
    *,
    records: AtLeastOne = RECORDS,
    debug: Debug = False,  # noqa: ARG001  main reads it
) -> int:
    """Write a commented pipeline file, and a sample that it reads.

    Nothing is overwritten. If the sample is there already, it stays.

    Args:
        file: The file to write.
        records: The number of records in the sample.

    Raises:
        UsageProblem: the file is there already.
    """
    from penstock.cli.demo import make_sample

    sample = file.with_name(SAMPLE)
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("x", encoding="utf-8") as written:
            written.write(TEMPLATE.format(sample=SAMPLE))
    except FileExistsError:
        raise UsageProblem(f"{file} is there already: choose another name, or remove it") from None
    made = not sample.exists()
    if made:
        make_sample(sample, records)
    words = [*program(), "run", str(file)]
    put(
        sys.stdout,
        f"penstock: wrote {clean(str(file))}"
        + (f" and {clean(str(sample))} ({count(records)} generated records)" if made else ""),
        "",
        f"  {'check it:':<15}{shell_command([*words, '--dry-run'])}",
        f"  {'explain it:':<15}{shell_command([*words, '--explain'])}",
        f"  {'run it:':<15}{shell_command(words)}",
    )
    return ALL_COMPLETED
