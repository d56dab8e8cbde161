"""The seven calls, which `EventLogger` and `Client` have, and the package itself."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ..events.ids import new_message_id
from ..events.table import MESSAGE_ID, merge_bound
from ..handler.dispatch import dispatch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..events.types import Id, MergeProperties, Time, Values

__all__ = ["Calls"]


class Calls:
    """The seven calls, on a logger."""

    logger: logging.Logger
    _bound: Mapping[str, Any]
    """Fields that are merged into each event, checked."""
    _dispatch: Callable[..., None] = staticmethod(dispatch)

    def identify(
        self,
        user_id: Id = None,
        traits: Values = None,
        context: Values = None,
        timestamp: Time = None,
        anonymous_id: Id = None,
        integrations: Values = None,
        message_id: Id = None,
        *,
        on_commit: object = None,
    ) -> str:
        """Say who a user is.

        Args:
            user_id: Your id of the user. It or `anonymous_id` is required.
            traits: What is known of the user.
            context: Circumstances, merged over the defaults.
            timestamp: When it happened, if not now: an aware datetime, or RFC 3339 text.
            anonymous_id: An id from before sign-up.
            integrations: Which destinations get it, merged over `{"All": True}`.
            message_id: A globally unique id; made if left out.
            on_commit: True: it leaves when the database transaction that is open commits, and only
                then. Or which one, or False: see `rudder_logging.on_commit`.

        Returns:
            The message id.

        Raises:
            InvalidValueError: A field is missing, empty, unparsable or too large.
            InvalidTypeError: A field has a type that it can't have.
            ConfigError: No handler is configured, and neither are the settings for one.
        """
        common = (user_id, context, timestamp, anonymous_id, integrations, message_id)
        return self._log_event("identify", None, common, on_commit, traits=traits)

    def track(
        self,
        user_id: Id = None,
        event: str | None = None,
        properties: Values = None,
        context: Values = None,
        timestamp: Time = None,
        anonymous_id: Id = None,
        integrations: Values = None,
        message_id: Id = None,
        *,
        on_commit: object = None,
    ) -> str:
        """Record what a user did.

        Args:
            user_id: Your id of the user. It or `anonymous_id` is required.
            event: What happened. Each distinct name becomes a table in a warehouse.
            properties: Details of what happened.
            context: See `identify`, as for all that follow.
            timestamp: See `identify`.
            anonymous_id: See `identify`.
            integrations: See `identify`.
            message_id: See `identify`.
            on_commit: See `identify`.

        Returns:
            The message id.

        Raises:
            RudderError: See `identify`.
        """
        common = (user_id, context, timestamp, anonymous_id, integrations, message_id)
        return self._log_event(
            "track", event, common, on_commit, event=event, properties=properties
        )

    def page(
        self,
        user_id: Id = None,
        category: str | None = None,
        name: str | None = None,
        properties: Values = None,
        context: Values = None,
        timestamp: Time = None,
        anonymous_id: Id = None,
        integrations: Values = None,
        message_id: Id = None,
        *,
        on_commit: object = None,
    ) -> str:
        """Record a web page that a user saw.

        Args:
            user_id: Your id of the user. It or `anonymous_id` is required.
            category: The page's category.
            name: The page's name.
            properties: Details of the page.
            context: See `identify`, as for all that follow.
            timestamp: See `identify`.
            anonymous_id: See `identify`.
            integrations: See `identify`.
            message_id: See `identify`.
            on_commit: See `identify`.

        Returns:
            The message id.

        Raises:
            RudderError: See `identify`.
        """
        common = (user_id, context, timestamp, anonymous_id, integrations, message_id)
        own = {"category": category, "name": name, "properties": properties}
        return self._log_event("page", name, common, on_commit, **own)

    def screen(
        self,
        user_id: Id = None,
        category: str | None = None,
        name: str | None = None,
        properties: Values = None,
        context: Values = None,
        timestamp: Time = None,
        anonymous_id: Id = None,
        integrations: Values = None,
        message_id: Id = None,
        *,
        on_commit: object = None,
    ) -> str:
        """Record an app screen that a user saw. See `page`, whose arguments it has.

        Returns:
            The message id.

        Raises:
            RudderError: See `identify`.
        """
        common = (user_id, context, timestamp, anonymous_id, integrations, message_id)
        own = {"category": category, "name": name, "properties": properties}
        return self._log_event("screen", name, common, on_commit, **own)

    def group(
        self,
        user_id: Id = None,
        group_id: Id = None,
        traits: Values = None,
        context: Values = None,
        timestamp: Time = None,
        anonymous_id: Id = None,
        integrations: Values = None,
        message_id: Id = None,
        *,
        on_commit: object = None,
    ) -> str:
        """Tie a user to a group.

        Args:
            user_id: Your id of the user. It or `anonymous_id` is required.
            group_id: Your id of the group. Required.
            traits: What is known of the group.
            context: See `identify`, as for all that follow.
            timestamp: See `identify`.
            anonymous_id: See `identify`.
            integrations: See `identify`.
            message_id: See `identify`.
            on_commit: See `identify`.

        Returns:
            The message id.

        Raises:
            RudderError: See `identify`.
        """
        common = (user_id, context, timestamp, anonymous_id, integrations, message_id)
        return self._log_event("group", None, common, on_commit, group_id=group_id, traits=traits)

    def alias(
        self,
        previous_id: Id = None,
        user_id: Id = None,
        context: Values = None,
        timestamp: Time = None,
        integrations: Values = None,
        message_id: Id = None,
        *,
        traits: Values = None,
        anonymous_id: Id = None,
        on_commit: object = None,
    ) -> str:
        """Tie a user's new id to the old one.

        Args:
            previous_id: The old id. Required.
            user_id: The new id. It or `anonymous_id` is required.
            context: See `identify`, as for all that follow.
            timestamp: See `identify`.
            integrations: See `identify`.
            message_id: See `identify`.
            traits: What is known of the user.
            anonymous_id: See `identify`.
            on_commit: See `identify`.

        Returns:
            The message id.

        Raises:
            RudderError: See `identify`.
        """
        common = (user_id, context, timestamp, anonymous_id, integrations, message_id)
        return self._log_event(
            "alias", None, common, on_commit, previous_id=previous_id, traits=traits
        )

    def merge(
        self,
        user_id: Id = None,
        merge_properties: MergeProperties = None,
        context: Values = None,
        timestamp: Time = None,
        anonymous_id: Id = None,
        integrations: Values = None,
        message_id: Id = None,
        *,
        on_commit: object = None,
    ) -> str:
        """Declare two identifiers to be one user.

        Args:
            user_id: Your id of the user. It or `anonymous_id` is required.
            merge_properties: Exactly two mappings of `type` and `value`.
            context: See `identify`, as for all that follow.
            timestamp: See `identify`.
            anonymous_id: See `identify`.
            integrations: See `identify`.
            message_id: See `identify`.
            on_commit: See `identify`.

        Returns:
            The message id.

        Raises:
            RudderError: See `identify`.
        """
        common = (user_id, context, timestamp, anonymous_id, integrations, message_id)
        return self._log_event("merge", None, common, on_commit, merge_properties=merge_properties)

    def _log_event(
        self,
        event_type: str,
        text: str | None,
        common: tuple[Any, ...],
        on_commit: object,
        **own: Any,
    ) -> str:
        """Log one event: to RudderHandlers whatever the levels, to others as levels say.

        Args:
            event_type: The type's name.
            text: The log line; the type's name if left out.
            common: The values of the fields that all types share, in `_COMMON`'s order.
            on_commit: The transaction whose commit it waits for.
            **own: The type's own fields.
        """
        fields: dict[str, Any] = {"type": event_type}
        for name, value in (*own.items(), *zip(_COMMON, common, strict=True)):
            # None is kept where the log line would else become the event's name.
            if value is not None or name in _MADE_OF_THE_LOG_LINE:
                fields[name] = value  # noqa: PERF403 - a comprehension costs a call 4 % more
        given = fields.get("message_id")
        message_id = fields["message_id"] = new_message_id() if given is None else given
        if self._bound:
            fields = merge_bound(fields, self._bound)
        line = text if isinstance(text, str) else event_type
        self._dispatch(self.logger, line, fields, on_commit)
        return message_id if given is None else str(MESSAGE_ID.normalise("'message_id'", given))


_MADE_OF_THE_LOG_LINE = ("event", "name")
_COMMON = ("user_id", "context", "timestamp", "anonymous_id", "integrations", "message_id")
