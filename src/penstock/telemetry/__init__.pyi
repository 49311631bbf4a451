# The names that this package offers, and where each is defined.

from .isolation import Isolated as Isolated, isolated as isolated
from .logs import EventLog as EventLog
from .open_telemetry import OpenTelemetry as OpenTelemetry
from .prometheus import PrometheusMetrics as PrometheusMetrics
from .recording import Recorder as Recorder, read_recording as read_recording
from .tables import recording_to_duckdb as recording_to_duckdb, recording_to_parquet as recording_to_parquet
