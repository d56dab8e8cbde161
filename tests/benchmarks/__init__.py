"""What a call, an event and an import cost, next to other clients: `python -m tests.benchmarks`.

Needs the extra `bench`, and Linux for the memory. Only ratios of one run count. The clients take
turns: block by block in one process with the calls of all shapes, and else round by round, each in
a process of its own. A ratio is taken within a turn.

- `plan.py`: what is measured, how often, and with how many events
- `event.py`: the event that all clients send; `clients.py`: the clients
- `shapes.py`: events of all the shapes that a call is to be cheap for
- `child.py`: the process in which a task is done; `measures.py`: the tasks of one client
- `side_by_side.py`: the calls of all shapes, where the clients share a process
- `imports.py`: what importing costs; `publishing.py`: what a task of Celery's costs to send
- `sink.py`: the server's process, which counts what arrived; `control.py`: how it is controlled
- `runner.py`: runs the plan, and holds what was sent against what arrived
- `goals.py`: what is to be reached; `results.py`: medians and ratios of the runs
- `report.py`: all of it as a file; `machine.py`: what it was measured on
- `table.py`, `chart.py`: how it is shown
"""
