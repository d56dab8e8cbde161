"""The local data plane with a page that shows what arrives: `rudder-logging serve`.

The files, in the order in which an event meets them:

- `plane.py`: `LivePlane`, a LocalDataPlane that has the page at `/`
- `entries.py`: from a request to what the page shows of it, one entry an event
- `judges.py`: remarks on it by a tracking plan, by a warehouse's rules, and by types before it
- `feed.py`: the last entries, in bounded memory
- `stream.py`: from there to each open page, in batches
- `routes.py`: what the page asks for; `guards.py`: who may ask, and what a browser may do with it
- `guides.py`: the guides as pages of a browser, in the frame of `guides.html`
- `static/`: the page itself, which a browser runs as it stands
"""

from __future__ import annotations

from .plane import DEFAULT_KEY, LivePlane

__all__ = ["DEFAULT_KEY", "LivePlane"]
