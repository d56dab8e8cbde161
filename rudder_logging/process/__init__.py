"""The process: its forks, its signals and its end.

In come handlers and listeners that are to hear of them; out go the calls by which they deliver, end
or begin anew. Nothing here keeps one of them alive.

- `members.py`: handlers, queues and listeners that are to hear of it
- `forks.py`: forks, also under uWSGI
- `ending.py`: has the process begun to end, and how long does it wait
- `exits.py`: exit hooks, also of pools and under gevent
- `signals.py`: SIGTERM
- `workers.py`: the workers of Celery and RQ
"""
