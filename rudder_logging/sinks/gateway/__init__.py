"""RudderStack's gateway: all that is HTTP, and the gateway's words.

In comes a batch of messages; out goes one POST to `/v1/batch`. Back comes a verdict on the answer,
or an error that says what a failure means for the events.

- `body.py`: the body of an upload, and its size
- `transport.py`: one upload over a kept-alive connection
- `guard.py`: no upload to another host from an app's tests
- `compression.py`: the body, compressed
- `network_errors.py`: the meaning of a failure of the network
- `outcomes.py`: the meaning of an answer
"""
