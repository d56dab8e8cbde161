"""Commands of `manage.py`, by the names of their files.

- `rudder.py`: the command `rudder-logging`, within the app
"""
