"""``ok`` returns an ``Ok``."""

from __future__ import annotations

from expression import Ok, Result

from penstock.adapters.xml_files.outcome import ok


def test_it_equals_the_result_of_the_constructor() -> None:
    """Both are equal, have the same state, and support the same operations."""
    quick, usual = ok(3), Ok(3)
    assert quick == usual
    assert vars(quick) == vars(usual)
    assert quick.map(str).bind(lambda text: Ok(text * 2)) == Ok("33")
    assert (quick.is_ok(), quick.is_error(), quick.ok, repr(quick)) == (True, False, 3, repr(usual))
    match quick:
        case Result(tag="ok", ok=value):
            assert value == 3
    assert ok(4) != quick
    assert ok(None) == Ok(None)
