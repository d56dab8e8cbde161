"""README and guides: what they say is true, and what shows them works.

- `pages.py`: the pages as files, their blocks of code, and as a Markdown parser reads them
- `test_blocks.py`: each block of code is run, or checked
- `test_index.py`, `test_links.py`: the index has every guide, and each link leads somewhere
- `test_pages.py`: bounds, tables, the two commands; the guides of frameworks
"""
