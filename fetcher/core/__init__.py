"""Values and decisions.  No I/O, no clock, no logging, no pydantic.

Parsers here raise ValueError with a text that says what was expected; the rooms
at the edge (formats/, sources/) add the file, the line or the host.
"""
