import segment.analytics as analytics
from segment.analytics import Client, identify

client = Client("k", send=False)


def complete(order):
    analytics.track(order["user"], "Order Completed", {"revenue": order["revenue"]})
    identify(order["user"], {"buyer": True})
    client.track(order["user"], "Order Audited")
