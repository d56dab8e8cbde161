"""Checks beyond those of a data plane, for tools and tests: no event is delivered by way of them.

In comes a message; out go sentences about it. They name fields and columns, never values.

- `plan.py`: a tracking plan: the events that an app may send
- `schemas.py`: the JSON Schemas in it
- `shapes.py`: what such a schema lets a value be; `planned.py`: a plan's events as calls
- `plan_changes.py`: what changes of a plan break
- `planned_types.py`: types that it says of columns
- `warehouse.py`: columns and tables that a warehouse would drop or rename
- `keywords.py`: words of its SQL
- `columns.py`: columns that a warehouse makes of a message, and their types
- `drift.py`: values that have another type than their column
- `types_file.py`: a project's types over time
- `personal_data.py`: personal data, found by its form
- `django_settings.py`: the middleware's place in Django's settings
"""
