"""The Grafana dashboard shows metrics that exist, and all labels it uses are theirs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import prometheus_client
from prometheus_client.parser import text_string_to_metric_families

from penstock import DocumentCompleted
from penstock.document import Document
from penstock.telemetry import PrometheusMetrics
from penstock.telemetry.instruments import INSTRUMENTS

DASHBOARD = Path(__file__).resolve().parents[2] / "examples" / "grafana" / "penstock.json"


def test_the_dashboard_uses_metrics_that_exist() -> None:
    """Each metric in a query is one that is exported, with the labels of its query; panels do not overlap."""
    text = DASHBOARD.read_text("utf-8")
    panels = json.loads(text)["panels"]
    labels = {one.name + "_total" * (one.kind == "counter"): set(one.labels) for one in INSTRUMENTS}
    labels["penstock_document_duration_seconds_bucket"] = {"adapter", "le"}
    used = set(re.findall(r"penstock_\w+", text))
    assert sorted(used - labels.keys()) == []
    assert len(used) > 15
    for panel in panels:
        for target in panel["targets"]:
            (metric,) = set(re.findall(r"penstock_\w+", target["expr"]))
            grouped = ",".join(re.findall(r"by \(([^)]*)\)", target["expr"]))
            named = re.findall(r"(\w+)=", target["expr"]) + re.findall(r"\w+", grouped)
            named += re.findall(r"{{(\w+)}}", target["legendFormat"])
            assert set(named) <= labels[metric], target
    places = [
        (panel["gridPos"]["x"] + dx, panel["gridPos"]["y"] + dy)
        for panel in panels
        for dx in range(panel["gridPos"]["w"])
        for dy in range(panel["gridPos"]["h"])
    ]
    assert len(places) == len(set(places))


def test_the_names_of_the_metrics_are_those_that_prometheus_reads() -> None:
    """Each instrument is exported under its name, and counters with ``_total``."""
    metrics = PrometheusMetrics()
    document = Document(doc_id="d", source="a")
    metrics([DocumentCompleted(1.0, "run", "d", "a", document, 0.1)])
    exported = prometheus_client.generate_latest(metrics.registry).decode()
    found = {family.name: family.type for family in text_string_to_metric_families(exported)}
    assert found == {
        **{one.name: one.kind for one in INSTRUMENTS},
        "penstock_document_duration_seconds": "histogram",
    }
