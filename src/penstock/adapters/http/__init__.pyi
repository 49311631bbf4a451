# The names that this package offers, and where each is defined.

from .answer import Answer as Answer
from .client import HttpClient as HttpClient
from .error import HttpError as HttpError
from .secret import secret_from as secret_from
