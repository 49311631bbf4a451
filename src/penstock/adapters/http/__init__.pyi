# The names that this package offers, and where each is defined.

from .answer import Answer as Answer
from .client import HttpClient as HttpClient
from .error import HttpError as HttpError
from .secret import secret_from as secret_from
from .json_source import JsonSource as JsonSource
from .pages import Listing as Listing, RecordsPage as RecordsPage, pages_of as pages_of
from .paging import (
    Cursor as Cursor,
    NextLink as NextLink,
    ODataNextLink as ODataNextLink,
    Offset as Offset,
    OnePage as OnePage,
    PageNumber as PageNumber,
    PageToken as PageToken,
    Paging as Paging,
    SearchAfter as SearchAfter,
)
