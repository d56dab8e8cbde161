"""Integrations with frameworks, each driven by the real one."""
