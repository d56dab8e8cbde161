"""RQ: what is bound where a job is made is bound where it runs.

install()
queue.enqueue(send_receipt, order)
"""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager
from typing import Any

from rq import Worker, get_current_job
from rq.job import Job

from .. import dump_bound, load_bound
from ..common.wired import wired
from ..events.scopes import bound_fields

__all__ = ["KEY", "install"]

KEY = "rudder_logging"
"""The key of a job's `meta` that says what was bound."""

_is_installed = False
_late_scope: AbstractContextManager[Any] | None = None
"""Of a job whose module called `install`: RQ imports that within the job."""


def install() -> None:
    """Have what is bound where a job is made bound while it runs, and its callbacks.

    Call it in the module that has the job's function, so that it is called in workers and in
    whoever makes jobs. A second call changes nothing. Classes of jobs, queues and workers stay as
    they are: RQ has no hooks, so two methods, of its `Job` and of its `Worker`, are replaced.

    .. versionadded:: 0.1.0
    """
    global _is_installed, _late_scope
    if not _is_installed:
        _is_installed = True
        wired.add("rq")
        _carry_in_jobs()
        _bind_in_workers()
        if (job := get_current_job()) is not None:
            _late_scope = _what_was_bound(job)
            _late_scope.__enter__()


def _carry_in_jobs() -> None:
    create = Job.create.__func__  # type: ignore[attr-defined]  # it is a class method

    @functools.wraps(create)
    def create_with_bound(*args: Any, **kwargs: Any) -> Job:
        job: Job = create(*args, **kwargs)
        if KEY not in job.meta and bound_fields():
            job.meta = {**job.meta, KEY: dump_bound()}  # a copy: it is the caller's
        return job

    Job.create = classmethod(create_with_bound)  # type: ignore[assignment]


def _bind_in_workers() -> None:
    kind: Any = next(kind for kind in Worker.__mro__ if "perform_job" in vars(kind))
    perform_job = kind.perform_job

    @functools.wraps(perform_job)
    def perform_with_bound(worker: Worker, job: Job, *args: Any, **kwargs: Any) -> Any:
        global _late_scope
        if _late_scope is not None:
            _late_scope.__exit__(None, None, None)
            _late_scope = None
        with _what_was_bound(job):
            return perform_job(worker, job, *args, **kwargs)

    kind.perform_job = perform_with_bound


def _what_was_bound(job: Job) -> AbstractContextManager[Any]:
    return load_bound(job.meta.get(KEY))
