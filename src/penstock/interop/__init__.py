"""aioreactive, both ways: flows as its observables, and its observables as flows."""
