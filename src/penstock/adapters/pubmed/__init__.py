"""Biomedical sources: PubMed's files (`pubmed_source`), and sample files in their shape (`sample`)."""
