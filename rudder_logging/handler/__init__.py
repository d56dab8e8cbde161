"""The logging handler: it takes events from records and queues them."""
