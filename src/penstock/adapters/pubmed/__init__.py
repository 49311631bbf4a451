"""PubMed: `PubMedSource` reads its XML files, and `write_sample` writes sample files of the same form."""
