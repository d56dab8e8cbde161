"""Django: its requests, users, transactions, system checks and `manage.py`.

    INSTALLED_APPS = [..., "rudder_logging.integrations.django"]
    MIDDLEWARE = [..., "rudder_logging.integrations.django.RudderMiddleware"]
    RUDDER = {"WRITE_KEY": ..., "DATA_PLANE_URL": ..., "CONTEXT": {"IP": "xff:1"}}

- `apps.py`: the app, which Django loads; `wiring.py`: what is wired when it does
- `options.py`: the setting RUDDER; `system_checks.py`: a look at it, and at the middleware
- `middleware.py`: from a request to its scope; `users.py`: the user in it
- `commits.py`: transactions, for events that wait for a commit
- `management/`: `manage.py rudder`
"""

from __future__ import annotations

from ...handler.commits import on_commit
from .middleware import RudderMiddleware

__all__ = ["RudderMiddleware", "on_commit"]
