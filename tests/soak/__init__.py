"""A long run under faults, which accounts for every event: `python -m tests.soak --help`.

Three processes, so that the one under test holds nothing but what it is to hold:

- `__main__.py` starts the others, watches memory and descriptors, and judges
- `app.py` logs events, by threads and forked children; what it knows of them goes to files
- `plane.py` is the data plane: it fails at random, and keeps of each event two small numbers
- `accounts.py` puts together what they said
- `relay.py`: with `--relay` it is apps, relays and a Redis instead, to all of which something
  happens (`tests/faults/relays/mix.py`); one relay is spared, and its memory watched
"""
