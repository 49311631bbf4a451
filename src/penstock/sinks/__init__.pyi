# The names that this package offers, and where each is defined.

from .callback import CallbackSink as CallbackSink, callback as callback
from .choice import Target as Target, sink_from as sink_from
from .databases.duckdb import DuckDBSink as DuckDBSink
from .databases.postgres import PostgresSink as PostgresSink
from .databases.sqlite import SqliteSink as SqliteSink
from .files.csv import CsvSink as CsvSink
from .files.jsonl import JsonLinesSink as JsonLinesSink
from .files.parquet import ParquetSink as ParquetSink
from .memory import MemorySink as MemorySink
from .several import SeveralSinks as SeveralSinks
from .stdout import StdoutSink as StdoutSink
