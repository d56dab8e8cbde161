"""The calls of the RudderStack Python SDK's documentation: only the import differs.

Run it against a data plane of yours:
    RUDDER_WRITE_KEY=... RUDDER_DATA_PLANE_URL=https://... python examples/seed_calls.py
"""

from __future__ import annotations

import os

import rudder_logging as rudder_analytics

WRITE_KEY = os.environ["RUDDER_WRITE_KEY"]
DATA_PLANE_URL = os.environ["RUDDER_DATA_PLANE_URL"]

rudder_analytics.write_key = WRITE_KEY
rudder_analytics.data_plane_url = DATA_PLANE_URL

rudder_analytics.track("developer_user_id", "Simple Track Event", {"key1": "val1"})
rudder_analytics.identify(
    "123456", {"email": "name@surname.com", "name": "John Doe", "friends": 16}
)
rudder_analytics.track(
    "123456",
    "Article Read",
    {"title": "The Independence", "subtitle": "Story of the Weak", "author": "John Doe"},
)
rudder_analytics.page("userid", "Documentation", "Sample Doc", {"url": "http://rudderstack.com"})
rudder_analytics.screen("userid", "Settings", "Brightness", {"from": "Settings Screen"})
rudder_analytics.group("userid", "groupid", {"name": "Company", "domain": "IT"})
rudder_analytics.alias("previousid", "userid")
# No flush is needed: what is queued is delivered before the process ends.
