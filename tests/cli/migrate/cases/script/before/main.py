#!/usr/bin/env python
"""The calls of RudderStack's documentation, as a script."""

import datetime
import os

import rudderstack.analytics as rudder_analytics  # the SDK


def on_error(error, items):
    print("An error occurred:", error, len(items))


rudder_analytics.write_key = os.environ["WRITE_KEY"]
rudder_analytics.dataPlaneUrl = os.environ["DATA_PLANE_URL"]
rudder_analytics.debug = False
rudder_analytics.on_error = on_error

rudder_analytics.identify(
    "123456",
    {"email": "name@surname.com", "name": "John Doe", "friends": 16},
)
rudder_analytics.track(
    '123456', 'Article Read', {
        'title': 'The Independence',   # single quotes stay
        'subtitle': 'Story of the Weak',
        'author': 'John Doe',
    })
rudder_analytics.page("userid", "Documentation", "Sample Doc", {"url": "http://rudderstack.com"})
rudder_analytics.screen("userid", "Settings", "Brightness", {"from": "Settings Screen"})
rudder_analytics.group("userid", "groupid", {"name": "Company", "domain": "IT"})
rudder_analytics.alias("previousid", "userid")
rudder_analytics.track(
    user_id="123456",
    event="Article Read",
    timestamp=datetime.datetime(2026, 1, 31, 12, 0, tzinfo=datetime.timezone.utc),
    context={"ip": "203.0.113.7"},
    integrations={"All": False, "Google Analytics": True},
    message_id="one-of-mine",
)
rudder_analytics.track(None, "Cart Viewed", anonymous_id="anon-1", timestamp=datetime.datetime.now())

rudder_analytics.flush()
rudder_analytics.join()
