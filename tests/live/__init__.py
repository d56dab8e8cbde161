"""The live page: its server over HTTP, and the page in a real browser."""
