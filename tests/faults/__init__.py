"""The fault matrix: what becomes of events in real processes to which something happens.

Each scenario starts processes that log events to a local data plane, and accounts for every
event by its number and its id. `python -m tests.faults` runs all and prints the table.

- `scenarios.py`: the scenarios, and what is expected of each; `table.py`: how it is shown
- `account.py`: what was accepted, and what became of it
- `stage.py`: a data plane, and the processes of one scenario; `child.py`: what those import;
  `gate.py`: what stands before a data plane
- the scenarios: `exits.py`, `forks.py`, `web.py` (gunicorn, uWSGI), `greenlets.py` (gevent),
  `workers.py` (Celery, RQ, dramatiq), `serverless.py`, `servers.py` (data planes that are not
  well), `tls.py`, `proxies.py`, `overload.py`, `apps.py`, `reentry.py`; `durable.py` and `disks.py`
  (the durable queue)
- `relays/`: apps, Redis and relays, with scenarios, account and stage of their own
"""
