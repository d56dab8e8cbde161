import rudder_logging as rudder_analytics
from rudder_logging import Client, identify as say_who, shutdown as join

rudder_analytics.write_key = "WRITE_KEY"
rudder_analytics.data_plane_url = "https://example.com"
rudder_analytics.sync_mode = True

client = Client(
    "WRITE_KEY",
    "https://example.com",
    debug=True,
    max_queue_size=500,
    send=True,
    on_error=None,
    upload_size=20,  # events
    upload_interval=2.5,
)
say_who("42", {"plan": "pro"})
client.group("42", "g")
join()


def no_sdk(rudder_analytics):
    """The argument is another thing of that name."""
    rudder_analytics.join()
