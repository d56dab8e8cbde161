"""Django's `manage.py`.

- `commands/`: its commands
"""
