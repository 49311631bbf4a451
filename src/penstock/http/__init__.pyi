# The names that this package offers, and where each is defined.

from .application import HOSTS as HOSTS, application as application
from .limits import Limits as Limits
from .server import serve as serve
