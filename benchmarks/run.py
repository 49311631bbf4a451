"""Measure what Penstock promises: ``python benchmarks/run.py [NAME...]``; without names, measure everything."""

from __future__ import annotations

import argparse
import importlib

from harness import machine, say, table

NAMES = (
    "elements",
    "events",
    "map_async",
    "buffer",
    "fanout",
    "joins",
    "heartbeat",
    "pubmed",
    "processes",
    "memory",
    "sinks",
    "telemetry",
    "serve",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(NAMES)}")
    names = parser.parse_args().names or NAMES
    if unknown := set(names) - set(NAMES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    say(machine())
    missed = 0
    for name in names:
        module = importlib.import_module(name)
        rows = module.rows()
        say("\n" + table(module.TITLE, rows))
        missed += sum(row.met is False for row in rows)
    say(f"\n{missed} missed" if missed else "\nall met")


if __name__ == "__main__":
    main()
