"""Text to core types and back.  pydantic lives here and gives schemas/."""
