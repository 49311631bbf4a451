"""Shows the progress of a run: as plain lines, as a bar in a terminal, as a panel in a notebook."""
