import rudder_analytics
from rudder_analytics import Client, identify as say_who, join

rudder_analytics.write_key = "WRITE_KEY"
rudder_analytics.data_plane_url = "https://example.com"
rudder_analytics.sync_mode = True

client = Client(
    "WRITE_KEY",
    "https://example.com",
    True,
    500,
    True,
    None,
    20,  # events
    flush_interval=2.5,
    thread=1,  # the default
)
say_who("42", {"plan": "pro"})
client.group("42", "g")
join()


def no_sdk(rudder_analytics):
    """The argument is another thing of that name."""
    rudder_analytics.join()
