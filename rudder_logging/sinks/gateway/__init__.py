"""RudderStack's gateway over HTTP."""
