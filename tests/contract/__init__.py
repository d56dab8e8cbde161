"""Answers of real servers, and the tests that hold ours to them.

`answers.jsonl` has requests with the answers of rudder-server 1.66 and 1.45, `wire.jsonl` raw
bytes with the status lines of a 1.66 and what became of the connection.
"""
