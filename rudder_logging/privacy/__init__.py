"""Privacy: what may leave, whose, and what becomes of the rest.

In comes a message; out goes what may leave of it, or the reason why it may not. All of it is done
in the caller's thread, before a queue sees the event.

- `options.py`: `Privacy`, `ConsentPolicy` and `Suppression`; `reading.py`: parsers of what they get
- `stages.py`: all stages, in their order
- `suppression.py`: people whose events do not leave
- `consent.py`: the categories that a person denied
- `choosing.py`: events that may leave, and the parts of them that may
- `limits.py`: shares of all people, and numbers in a time
- `redaction.py`: values that are removed, masked or hashed, at every level
- `texts.py`: values that are named within texts: in queries, in JSON, in what Python prints
- `keys.py`: names of values, however they are spelt; `hashing.py`: hashes with a key
- `addresses.py`: a person's address, and the place that is found by it
- `compiled.py`: the compiled encoders with redaction in their one pass
- `again.py`: events that were written before they are sent
- `formatter.py`: `PrivateFormatter`, for other handlers
"""
