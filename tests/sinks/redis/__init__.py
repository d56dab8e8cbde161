"""The sink of Redis, beside real servers."""
