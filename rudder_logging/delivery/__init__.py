"""Delivery: it brings what waits in a queue to its end, and says so.

In come batches of messages from a queue; out goes each of them to a sink until it is delivered,
refused or dropped. Every outcome is in the ledger, and is told by callback or log line.

- `listener.py`: `BatchListener`, the thread that takes batches and has them delivered
- `sender.py`: from a batch to the outcome of each of its events
- `upload_limits.py`: how large the next upload may be
- `forgetting.py`: people whom the engine of a relay is to forget
- `retry.py`: the waits between attempts, and the moment to tell of an outage
- `ledger.py`: the counts of all that was accepted; events leave the queue through it
- `reports.py`: callbacks and log lines; `dead_letters.py`: the file of refused events
"""
