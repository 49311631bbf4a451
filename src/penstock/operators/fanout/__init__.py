"""Operators in which one run serves several subscribers, or one flow becomes several."""

from penstock.operators.fanout.broadcast import broadcast
from penstock.operators.fanout.cache import cache
from penstock.operators.fanout.group_by import group_by
from penstock.operators.fanout.partition import partition, partition_by
from penstock.operators.fanout.publish import publish
from penstock.operators.fanout.share import replay, share
from penstock.operators.fanout.window import window

__all__ = [
    "broadcast",
    "cache",
    "group_by",
    "partition",
    "partition_by",
    "publish",
    "replay",
    "share",
    "window",
]
