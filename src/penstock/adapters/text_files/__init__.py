"""Records of text files: lines of JSON, and rows of tables."""
