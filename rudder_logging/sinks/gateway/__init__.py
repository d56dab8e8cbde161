"""RudderStack's gateway: all that is HTTP, and the gateway's words.

In come the messages of one upload; out goes one POST to `/v1/batch`. Its answer, or
what kept it from coming, becomes an outcome.

- `sink.py`: the gateway's sink: from messages to an outcome
- `body.py`: the body of an upload
- `untraced.py`: uploads without spans
- `transport.py`: one upload over a kept-alive connection
- `compression.py`: the body, compressed
- `network_errors.py`: the meaning of a failure of the network
- `outcomes.py`: the meaning of an answer
"""
