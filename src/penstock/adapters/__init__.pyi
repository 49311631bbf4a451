# The names that this package offers, and where each is defined.

from .event_flow import Adapter as Adapter
from .clinicaltrials.source import clinicaltrials as clinicaltrials
from .clinicaltrials.source import ClinicalTrialsSource as ClinicalTrialsSource
from .csv_files import csv as csv
from .jsonl import jsonl as jsonl
from .own import adapter as adapter
from .pubmed.adapter import pubmed as pubmed
from .pubmed.source import PubMedSource as PubMedSource
from .registry import AdapterEntry as AdapterEntry
from .registry import find_adapter as find_adapter, find_adapters as find_adapters
