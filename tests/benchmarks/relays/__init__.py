"""What a relay, its engine and its apps cost: `python -m tests.benchmarks.relays`.

All on one machine: engine, relays, apps and a sink in the gateway's place, each in a process of its
own. Linux only. Needs what the tests need.

- `plan.py`: what is measured, how often, and with how many events
- `traffic.py`: the events; `producer.py`: the app's process that logs them
- `engines.py`: the engines; `stage.py`: all processes of a measure
- `measures.py`: the measures; `takeover.py`: the one of relays that end
- `goals.py`: what is to be reached; `capacity.py`: what follows for many apps
- `table.py`: how it is shown; `relay.json`: the run that the guide shows
"""
