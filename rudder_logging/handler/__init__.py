"""The handler: it takes events out of an app's logging.

In comes a log record, or one of the seven calls; out goes a message into a queue, or a complaint to
`handleError`. A handler also owns its queue and its delivery, from the first event to the end.

- `dispatch.py`: from a direct call to the handlers on its logger's path; direct calls only
- `settings.py`: the package's settings, and the handler that is made of them; likewise
- `handler.py`: `RudderHandler`: the methods that logging calls, its opening and its end
- `admission.py`: may an event enter, is there room, and what becomes of one that may not
- `spans.py`: the option `trace_context`; `redacting.py`: the option `privacy`, as it is encoded
- `suppressing.py`: `suppress()`, for people whose events must not leave any more
- `stdlib.py`: the handler's dealings with the standard library
- `commits.py`: events that wait for the commit of a database transaction
- `before_send.py`: messages that the app edits
- `outlets.py`: its queue and its sink are opened
- `pipeline.py`: queue, ledger, reports, delivery and listener, put together
- `setup.py`: a look at the options when a handler is made
- `measures.py`: its ledger as metrics: the table, and the sums over handlers
- `flushing.py`: `flushing()`, for functions whose process is frozen when they return
"""
