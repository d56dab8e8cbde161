import rudder_logging as analytics
from rudder_logging import Client, identify

client = Client("k", send=False)


def complete(order):
    analytics.track(order["user"], "Order Completed", {"revenue": order["revenue"]})
    identify(order["user"], {"buyer": True})
    client.track(order["user"], "Order Audited")
