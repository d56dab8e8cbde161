"""The life of the process: forks, exits, signals and workers."""
