"""The suite: one file per module; each test states a rule that a user cares about."""
