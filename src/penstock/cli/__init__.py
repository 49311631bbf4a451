"""The command line: its commands build pipelines, read ledgers, and show events to people."""
