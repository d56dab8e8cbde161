"""The command, through its real entry point."""
