"""Operators on the documents in a stream of events."""

from penstock.operators.documents.batch_progress import batch_progress
from penstock.operators.documents.dead_letters import dead_letters
from penstock.operators.documents.where import where

__all__ = ["batch_progress", "dead_letters", "where"]
