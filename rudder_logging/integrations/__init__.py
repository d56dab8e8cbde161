"""Integrations: what a framework's user imports, one file each; nobody else imports them.

Web frameworks, whose events then have what a request knows:

- `aiohttp.py`: a middleware
- `asgi.py`: a middleware for Starlette, FastAPI and any other app, which delivers at its end, too
- `django/`: an app and a middleware, with users and transactions
- `flask.py`: `init_app`, with the user of Flask-Login
- `wsgi.py`: a middleware for any app; `flask.py` has it, too

Loggers, in the place of the standard library's or beside them:

- `loguru.py`: a sink that takes events out of `extra`
- `structlog.py`: a processor that takes events out of structlog's event dicts

What watches an app:

- `opentelemetry.py`: the ledger as metrics
- `sentry.py`: hooks that keep payloads out of Sentry

Task queues, whose messages carry what is bound:

- `celery.py`, `dramatiq.py`, `rq.py`

Databases:

- `sqlalchemy.py`: events that wait for a session's commit
"""
