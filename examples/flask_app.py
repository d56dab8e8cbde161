"""A shop in Flask: its events know the user, the visitor, the address and the page.

Run it: gunicorn examples.flask_app:app (with RUDDER_WRITE_KEY and RUDDER_DATA_PLANE_URL set)
"""

from __future__ import annotations

import logging

from flask import Flask
from flask_login import LoginManager, UserMixin, login_user

from rudder_logging import RudderHandler
from rudder_logging.integrations.flask import init_app

logging.basicConfig(level=logging.INFO, handlers=[RudderHandler(), logging.StreamHandler()])
shop = logging.getLogger("shop")

app = Flask(__name__)
app.secret_key = "an example's"  # noqa: S105 - yours is a secret
init_app(app)


@LoginManager(app).user_loader
def load(user_id: str) -> UserMixin:
    """Get a user: not called for a request that logs no event."""
    user = UserMixin()
    user.id = user_id
    return user


@app.post("/login/<user_id>")
def log_in(user_id: str) -> str:
    """Log in: the events after that have the user's id."""
    login_user(load(user_id))
    shop.info("Signed In", extra={"rudder": {"type": "identify"}})
    return user_id
