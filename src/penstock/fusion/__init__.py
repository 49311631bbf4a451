"""Neighbouring synchronous elements become one compiled loop.

Read ``loop_element`` (what an operator writes), ``loops`` (the generated code), ``fused`` (the stage that
runs it) and ``element`` (how a chain is found); then ``compiled_terminals`` and ``drive`` for the terminals.
"""

from penstock.fusion.element import Element, indent

__all__ = ["Element", "indent"]
