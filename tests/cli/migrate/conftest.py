"""The cases are programs; one of them is a module of tests."""

collect_ignore_glob = ["cases/*"]
