"""A shop in Flask, with Segment's SDK and a client of its own for a second source."""

import os
from datetime import datetime

import rudder_logging as analytics
from flask import Flask, request, session
from rudder_logging import Client

app = Flask(__name__)
app.secret_key = "for tests"

analytics.write_key = os.environ["WRITE_KEY"]
analytics.host = os.environ["DATA_PLANE_URL"]
analytics.max_queue_size = 5_000

audit = Client(
    os.environ["WRITE_KEY"],
    host=os.environ["DATA_PLANE_URL"],
    on_error=lambda error, items: app.logger.error("%d events: %s", len(items), error),
)


def visitor() -> dict:
    return {"anonymous_id": session.setdefault("visitor", "anon-7")}


@app.before_request
def page():
    analytics.page(
        session.get("user"), "shop", request.endpoint, {"path": request.path}, **visitor()
    )


@app.post("/login")
def login():
    session["user"] = request.form["user"]
    analytics.alias(visitor()["anonymous_id"], session["user"])
    analytics.identify(session["user"], {"plan": "pro"}, integrations={"All": False, "Mixpanel": True})
    audit.track(session["user"], "Logged In", {"from": "form"}, {"ip": request.remote_addr}, datetime.now().astimezone())
    return "ok"


@app.post("/orders")
def order():
    revenue = float(request.form["revenue"])
    analytics.track(session["user"], "Order Completed", {"revenue": revenue, "items": [1, 2]})
    return "ok"


if __name__ == "__main__":
    with app.test_client() as browser:
        browser.post("/login", data={"user": "42"})
        browser.post("/orders", data={"revenue": "24.95"})
    audit.shutdown()
    analytics.shutdown()
