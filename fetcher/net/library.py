"""httpx without its command line; every module here takes `httpx` from this one.

`httpx/__init__.py` imports its command line, and with it click, rich and pygments (half of the
time that it takes to load), wherever these are installed; where they are not, it goes on
without.  It is told the latter: a module that is None in `sys.modules` cannot be imported
(Python's language reference, 5.3.1).  Afterwards everything is as it was.

Promise (tests/test_architecture.py):
  * what fetches bytes loads none of the three.
"""

import sys

_COMMAND_LINE = "httpx._main"

_is_free = _COMMAND_LINE not in sys.modules
if _is_free:
    sys.modules[_COMMAND_LINE] = None  # type: ignore[assignment]
try:
    import httpx
finally:
    if _is_free:
        del sys.modules[_COMMAND_LINE]

__all__ = ["httpx"]
