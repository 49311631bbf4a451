"""Shows objects in notebooks: as HTML, and in one display that is updated. Knows Jupyter and marimo."""
