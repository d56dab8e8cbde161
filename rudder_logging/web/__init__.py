"""The web without a framework: what a request knows, made into fields of its events.

An integration shows its framework's request as a `Request`, and enters `RequestContext.binding` for
as long as the request lasts. Nothing is read of a request that logs no event.

- `request.py`: `Request`, a request as an integration shows it
- `context.py`: `RequestContext`, from a request to what is bound
- `options.py`: its options, and how each is read
- `addresses.py`: a client's address; `cookies.py`: the ids that a browser keeps
- `consent.py`: what its person allowed, by the provider's cookie
- `wsgi.py`: a request of WSGI's, for all frameworks that are built on that
- `queries.py`: the allowed names of query strings; `text.py`: text that a client wrote
"""
