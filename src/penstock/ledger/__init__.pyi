# The names that this package offers, and where each is defined.

from .choice import ledger_from as ledger_from
from .memory import MemoryLedger as MemoryLedger
from .postgres.ledger import PostgresLedger as PostgresLedger
from .sqlite.ledger import SqliteLedger as SqliteLedger
from .status import KeyStatus as KeyStatus, read_status as read_status
