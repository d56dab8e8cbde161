"""Events: from a call's fields to the bytes of one message."""
