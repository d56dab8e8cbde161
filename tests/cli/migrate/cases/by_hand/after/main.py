import importlib
import logging
import sys
from unittest import mock

import rudder_logging as analytics
from segment.analytics import default_client, write_key
from rudder_logging import Client
from segment.analytics.consumer import Consumer
from segment.analytics.request import APIError

analytics.host = "https://api.segment.io"
analytics.log_handler = logging.StreamHandler()
analytics.default_client = None


def on_error(error):
    print(error)


class Quiet(Client):
    def _enqueue(self, msg):
        return True, msg


options = {"debug": True}
client = Client("k", host="https://events.eu1.segmentapis.com/", on_error=on_error)
other = Client("k", oauth_scope="public_api:read_write")
third = Client(**options)


def report(user):
    success, message = client.track(user, "Reported")
    if not analytics.track(user, "Reported")[0]:
        print(message)
    try:
        client.identify(user)
    except AssertionError:
        print("no id")
    client.queue.join()
    return analytics.page(user)


@mock.patch("segment.analytics.client.post")
def test_report(post):
    sys.modules["segment.analytics"] = mock.Mock()
    importlib.import_module("segment.analytics.request")


logging.getLogger("segment").setLevel("ERROR")
LOGGING = {"version": 1, "loggers": {"segment": {"level": "ERROR"}}}
