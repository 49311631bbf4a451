"""Operators in which one run serves several subscribers, or one flow becomes several."""
