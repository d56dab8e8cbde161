"""The guides: their index, their links, and what shows them."""
