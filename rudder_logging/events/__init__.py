"""Events: the rules of RudderStack's seven event types, and their encoding as JSON.

In comes a log record with the fields of a call; out goes one checked message as bytes, or an error
that names field, fault and cure. Nothing here queues, sends or waits.

- `formatter.py`: `RudderFormatter`, from a record to its message
- `records.py`: a record's one id, and the template that names its event
- `scopes.py`: stretches of code, and the fields that are bound in them
- `bodies.py`: the same for functions of any kind
- `context.py`: `bind()`, `bind_lazily()` and `current()`
- `carried.py`: what is bound, in other threads and processes
- `defaults.py`: what is merged under an event's fields: defaults, and what is bound
- `compiled.py`: encoders for events as most calls log them
- `table.py`: the seven types in one table; `build` and `validate` for all others
- `fields.py`: the rules of their fields; `types.py`: the same for type checkers
- `ids.py`: message ids and times as text
- `persons.py`: whose event it is, wherever something asks
- `encoding.py`: values of any type as JSON
- `lines.py`: log lines without an event; `filters.py`: `EventsOnly` and `NoEvents`
"""
