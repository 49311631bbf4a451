"""How a described graph becomes a run: nodes, stages, demand, positions."""

from __future__ import annotations
