"""The doctor, through its real entry point and part by part."""
