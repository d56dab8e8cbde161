"""The process: its forks, its signals and its end.

In come handlers and listeners that are to hear of them; out go the calls by which they deliver, end
or begin anew. Nothing here keeps one of them alive.

- `lifecycle.py`: forks, exit hooks and SIGTERM, also under uWSGI and gevent
- `workers.py`: the workers of Celery and RQ
"""
