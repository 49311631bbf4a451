"""What the operators share that read all their inputs together."""

from __future__ import annotations

from penstock.runtime.node import Node, node

__all__ = ["JoinNode"]


@node
class JoinNode(Node):
    """A node that asks each of several inputs for as much as it is asked for."""

    @property
    def structure(self) -> str:
        """The number of inputs."""
        return f"({len(self.inputs)})"

    def bound(self, n: int) -> float:
        """Return the sum of M_i(n)."""
        return sum(node.bound(n) for node in self.inputs)
