"""Caption search: beam search, sampling and constraints."""
