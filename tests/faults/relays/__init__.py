"""The relay's part of the fault matrix: apps, a real Redis, relays, a data plane as the gateway.

- `rows.py`: what happens, and what is expected of it; the table
- `account.py`: what was owed, and what became of it; `journal.py`: what apps note for it
- `stage.py`: the processes of one row, and the ways between them; `producer.py`: an app;
  `engine.py`: Redis
- the rows: `ends.py` (of apps and relays), `engines.py`, `networks.py`, `fleets.py`, `mix.py`,
  `brokers.py` (Kafka)
"""
