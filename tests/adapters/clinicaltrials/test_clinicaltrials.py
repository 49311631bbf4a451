"""Studies of ClinicalTrials.gov: real captures field by field, damaged records, and a run over a real server."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from penstock import IngestionPipeline, RawRecord
from penstock.adapters import ClinicalTrialsSource, clinicaltrials
from penstock.columns import columns_of
from penstock.errors import GraphError

from ..http.serving import answer, serving  # noqa: TID252  tests are no installed package

SOURCE = ClinicalTrialsSource()


def study(nct: str = "NCT00000001", **modules: Any) -> dict[str, Any]:
    """Return a study with every kind of value, written for this test."""
    protocol = {
        "identificationModule": {
            "nctId": nct,
            "briefTitle": "A study of water",
            "orgStudyIdInfo": {"id": "W-1"},
        },
        "statusModule": {
            "overallStatus": "COMPLETED",
            "startDateStruct": {"date": "2020-03", "type": "ACTUAL"},
            "lastUpdateSubmitDate": "2021-05-06",
        },
        "descriptionModule": {"briefSummary": "Water or nothing.", "detailedDescription": "More water."},
        "designModule": {"phases": ["PHASE2", "PHASE3"], "enrollmentInfo": {"count": 12, "type": "ACTUAL"}},
        "armsInterventionsModule": {"armGroups": [{"label": "Water", "interventionNames": ["Drug: Water"]}]},
        "eligibilityModule": {"sex": "ALL", "minimumAge": "18 Years", "healthyVolunteers": True},
        **modules,
    }
    return {"protocolSection": protocol, "hasResults": False, "newSection": {"someField": 1}}


def parsed(record: Any) -> Any:
    raw = RawRecord("k", json.dumps(record).encode())
    outcome = SOURCE.parse(raw)
    assert outcome.is_ok(), outcome
    assert outcome.ok.doc_id == SOURCE.identify(raw)
    return outcome.ok


def column(document: Any, name: str) -> Any:
    found = next(column for column in columns_of(SOURCE.schema) if column.name == name)
    return document.metadata.get(name) if found.read is None else found.read(document)


def test_a_study() -> None:
    """Every value is in its column, in the metadata, or under ``extra``."""
    document = parsed(study())
    assert (document.doc_id, document.record_id) == (
        "clinicaltrials:NCT00000001.2021-05-06",
        "clinicaltrials:NCT00000001",
    )
    assert (document.title, document.content) == ("A study of water", "Water or nothing.\n\nMore water.")
    assert document.metadata["phases"] == ["PHASE2", "PHASE3"]
    assert document.metadata["arms"] == [{"label": "Water", "intervention_names": ["Drug: Water"]}]
    assert (column(document, "start_date"), column(document, "start_date_precision")) == (
        "2020-03-01",
        "month",
    )
    assert document.metadata["extra"] == {"new_section": {"some_field": 1}}


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ({}, "has no NCT number"),
        ([], "not a JSON object"),
        ({"protocolSection": []}, "has no NCT number"),
        ({"protocolSection": {"identificationModule": {"nctId": "NCT1"}}}, "has no NCT number: 'NCT1'"),
        ({"FullStudiesResponse": {}}, "version 1 of the API"),
    ],
)
def test_what_is_no_study(record: Any, problem: str) -> None:
    """It is a dead letter with one sentence."""
    outcome = SOURCE.parse(RawRecord("k", json.dumps(record).encode()))
    assert outcome.is_error()
    assert problem in str(outcome.error)


def test_damaged_studies() -> None:
    """Any value in any place, and any bytes, give a document or a ``DocumentError``."""
    chance = random.Random(5)
    strange = [None, 5, -1.5, True, "", "x" * 50, [], {}, [[]], {"a": None}, "2020-99-99", "\ud800"]
    whole = json.dumps(study()).encode()
    for _ in range(300):
        record = study()
        inside: Any = record
        while isinstance(inside, dict) and inside:
            key = chance.choice([*inside])
            if chance.random() < 0.4:
                inside[key] = chance.choice(strange)
                break
            inside = inside[key]
        cut = chance.randrange(len(whole))
        for data in (json.dumps(record).encode(), whole[:cut], whole[:cut] + b"\xff" + whole[cut + 1 :]):
            outcome = SOURCE.parse(RawRecord("k", data))
            for declared in columns_of(SOURCE.schema) if outcome.is_ok() else ():
                if declared.read is not None:
                    declared.read(outcome.ok)


async def test_a_query_over_a_real_server(tmp_path: Path) -> None:
    """The parameters are those of the API; tokens are followed; the promised total is settled."""
    studies = [study(f"NCT{n:08}") for n in range(1, 8)]

    def serve(request: Any) -> bytes:
        query = dict(parse_qsl(urlsplit(request.target).query))
        begin, size = int(query.get("pageToken", 0)), int(query["pageSize"])
        body: dict[str, Any] = {"studies": studies[begin : begin + size]}
        if begin == 0:
            body["totalCount"] = len(studies)
        if begin + size < len(studies):
            body["nextPageToken"] = str(begin + size)
        return answer(json.dumps(body).encode())

    async with serving(serve) as (url, requests):
        adapter = clinicaltrials(condition="thirst", status=["COMPLETED", "RECRUITING"], page_size=3, url=url)
        summary = await IngestionPipeline(adapter).run(tmp_path / "out.jsonl")
        assert (summary.state, summary.counts["completed"]) == ("completed", 7)
        assert len(requests) == 3
        query = dict(parse_qsl(urlsplit(requests[0].target).query))
        assert query == {
            "format": "json", "countTotal": "true", "pageSize": "3", "query.cond": "thirst",
            "filter.overallStatus": "COMPLETED|RECRUITING",
        }  # fmt: skip


async def test_the_day_of_the_data_changes_no_study(tmp_path: Path) -> None:
    """A study is unchanged although the API answers from the data of another day; the column has the day."""
    day = "2026-01-01"

    def serve(_request: Any) -> bytes:
        studies = [{**study(), "derivedSection": {"miscInfoModule": {"versionHolder": day}}}, ["no study"]]
        return answer(json.dumps({"studies": studies}).encode())

    async with serving(serve) as (url, _):

        async def run(**options: Any) -> Any:
            pipeline = IngestionPipeline(clinicaltrials(url=url), ledger=tmp_path / "run.db", **options)
            return await pipeline.run(tmp_path / "out.jsonl")

        assert (await run()).counts["completed"] == 1
        day = "2026-01-02"
        assert (await run(refresh=True)).counts["completed"] == 0
        (line,) = (tmp_path / "out.jsonl").read_text().splitlines()
        assert json.loads(line)["metadata"]["data_version"] == "2026-01-01"


def test_too_large_a_page() -> None:
    """It is refused before anything runs."""
    with pytest.raises(GraphError, match="page_size must be at most 1,000"):
        clinicaltrials(page_size=5000)


# -- real captures -------------------------------------------------------------------------------


def studies_in(body: Any) -> list[Any]:
    return body if isinstance(body, list) else body.get("studies", [body])


FACTS: dict[str, dict[str, Any]] = {
    "NCT00763412": {
        "doc_id": "clinicaltrials:NCT00763412.2017-05-03", "start_date": "2006-11-01", "start_date_precision": "month",
        "org_study_id": "05-1109", "enrollment": 31, "masking": "QUADRUPLE", "lead_sponsor_class": "INDIV",
        "minimum_age": "12 Years", "has_results": True, "len:baseline_measures": 16, "len:primary_outcomes": 3,
    },
    "NCT02552212": {
        "doc_id": "clinicaltrials:NCT02552212.2022-08-16", "acronym": "C-AXSPAND", "enrollment": 317,
        "len:locations": 105, "len:outcome_measures": 31, "len:serious_events": 36, "completion_date": "2020-05-01",
        "lead_sponsor": "UCB BIOSCIENCES GmbH", "allocation": "RANDOMIZED",
    },
    "NCT03418623": {
        "doc_id": "clinicaltrials:NCT03418623.2020-10-05", "intervention_model": "CROSSOVER", "start_date": "2018-03-08",
        "start_date_precision": "day", "enrollment": 24, "fda_regulated_drug": True, "maximum_age": "40 Years",
    },
    "NCT03475563": {
        "doc_id": "clinicaltrials:NCT03475563.2019-11-26", "status": "UNKNOWN", "last_known_status": "RECRUITING",
        "study_type": "OBSERVATIONAL", "time_perspective": "PROSPECTIVE", "completion_date_type": "ESTIMATED",
        "len:central_contacts": 2, "enrollment": 100,
    },
    "NCT03630471": {
        "doc_id": "clinicaltrials:NCT03630471.2019-05-17", "acronym": "PRIDE", "ipd_sharing": "YES", "enrollment": 250,
        "len:references": 12, "masking": "DOUBLE", "verified": "2019-01-01", "len:secondary_outcomes": 9,
    },
    "NCT04207047": {
        "doc_id": "clinicaltrials:NCT04207047.2019-12-18", "allocation": "NON_RANDOMIZED", "healthy_volunteers": True,
        "len:interventions": 5, "len:arms": 4, "fda_regulated_device": True, "first_submitted": "2019-12-17",
    },
}  # fmt: skip
"""Read by hand from the captures."""

NO_STUDIES = {
    "aact_ctg_api_all.json", "aact_legacy_v1_covid-19-search.json", "aact_results_2.json", "aact_v2_studies_metadata.json"
}  # fmt: skip


@pytest.mark.corpus
def test_the_captures(corpus: Path) -> None:
    """Each study is a document, and what is no study of version 2 is a named dead letter; ids are unique."""
    folder, seen = corpus / "clinicaltrials", {}
    for file in sorted(folder.glob("*.json")):
        try:
            body = json.loads(file.read_bytes())
        except ValueError:
            body = [file.read_text("utf-8")]
        for number, record in enumerate(studies_in(body)):
            data = json.dumps(record).encode()
            outcome = SOURCE.parse(RawRecord(f"{file.name}#{number}", data))
            is_study = isinstance(record, dict) and file.name not in NO_STUDIES
            assert outcome.is_ok() is is_study, file.name
            if outcome.is_ok():
                document = outcome.ok
                seen.setdefault(document.doc_id, set()).add(document.record_id)
                facts = FACTS.get(document.metadata["nct_id"], {})
                for name, wanted in facts.items():
                    if name == "doc_id":
                        assert document.doc_id == wanted
                    elif name.startswith("len:"):
                        assert len(document.metadata[name[4:]]) == wanted, (document.doc_id, name)
                    else:
                        assert column(document, name) == wanted, (document.doc_id, name)
            else:
                assert file.name in str(outcome.error)
    assert {f"clinicaltrials:{nct}" for nct in FACTS} <= {
        record for records in seen.values() for record in records
    }
    assert all(len(records) == 1 for records in seen.values())
