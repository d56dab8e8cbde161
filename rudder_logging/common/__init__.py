"""Small helpers that every room may import; they import no other room but `exceptions`.

- `dictconfig.py`: containers as `dictConfig` hands them over
- `clock.py`: clocks that an app's tests can't freeze
- `gil.py`: the interpreter's lock, and what counts on it
- `locks.py`: locks for the end of the process
- `logging_tree.py`: the loggers and handlers that a record meets
- `private_files.py`: files that are ours alone; `given_files.py`: files that options name
- `hosts.py`: is a host this machine?
- `importing.py`: objects that an option names; `parsing.py`: parsers that rooms share
- `spellings.py`: names that are known however they are spelt
- `schemes.py`: URL schemes that third parties have registered
- `wired.py`: which integrations an app has wired
- `telling.py`: warnings that are said once; `tally.py`: counts for any thread
- `printable.py`: text that steers no terminal; `stderr.py`: lines for when logging is gone
"""
