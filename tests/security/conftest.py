"""Minimal PubMed records."""

from __future__ import annotations


def article(number: int, title: str = "A title") -> bytes:
    """Return a record."""
    return (
        f'<PubmedArticle><MedlineCitation><PMID Version="1">{number}</PMID>'
        f"<Article><ArticleTitle>{title}</ArticleTitle></Article></MedlineCitation></PubmedArticle>"
    ).encode()


def articles(*records: bytes, before: bytes = b"") -> bytes:
    """Return a whole file of ``records``; ``before`` comes before its root element, such as a document type."""
    return (
        b'<?xml version="1.0"?>' + before + b"<PubmedArticleSet>" + b"".join(records) + b"</PubmedArticleSet>"
    )
