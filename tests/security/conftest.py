"""Records of PubMed, as short as they can be."""

from __future__ import annotations


def article(number: int, title: str = "A title") -> bytes:
    """Return a record."""
    return (
        f'<PubmedArticle><MedlineCitation><PMID Version="1">{number}</PMID>'
        f"<Article><ArticleTitle>{title}</ArticleTitle></Article></MedlineCitation></PubmedArticle>"
    ).encode()


def articles(*records: bytes, before: bytes = b"") -> bytes:
    """Return a whole file of ``records``, with a document type or whatever else ``before`` them."""
    return (
        b'<?xml version="1.0"?>' + before + b"<PubmedArticleSet>" + b"".join(records) + b"</PubmedArticleSet>"
    )
