# The names that this package offers, and where each is defined.

from .abandoned import acquire_lock as acquire_lock, release_abandoned as release_abandoned
from .closing import Ended as Ended, close_all as close_all
from .files import DiskStorage as DiskStorage, Storage as Storage, StoredFile as StoredFile
from .lock import (
    FileLock as FileLock,
    Holder as Holder,
    Lock as Lock,
    holder_of as holder_of,
    lock_path as lock_path,
)
from .postgres import (
    end_with_client as end_with_client,
    limit_lock_waits as limit_lock_waits,
    lock_holder as lock_holder,
    postgres_parameters as postgres_parameters,
)
from .presence import (
    Harm as Harm,
    Sight as Sight,
    Watch as Watch,
    copy as copy,
    harm as harm,
    whereabouts as whereabouts,
)
from .reasons import reason as reason, reason_in as reason_in
from .sqlite import (
    empty_log as empty_log,
    primary_code as primary_code,
    save as save,
    sqlite_reason as sqlite_reason,
)
from .worker import Worker as Worker, began as began
