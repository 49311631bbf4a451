# The names that this package offers, and where each is defined.

from .isolation import Isolated as Isolated, isolated as isolated
from .prometheus import PrometheusMetrics as PrometheusMetrics
