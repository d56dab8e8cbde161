"""Tracking plans as teams have them, for the commands that read plans."""

from __future__ import annotations

from typing import Any

ADDRESS = {
    "type": "object",
    "description": "Where somebody lives",
    "required": ["country"],
    "additionalProperties": False,
    "properties": {
        "country": {"type": "string", "minLength": 2, "maxLength": 2},
        "zip-code": {"type": "string"},
        "class": {"enum": ["home", "work"]},
    },
}

JSON_VALUE: dict[str, Any] = {
    "anyOf": [
        {"type": ["string", "null"]},
        {"type": "array", "items": {"$ref": "#/$defs/json"}},
        {"type": "object", "additionalProperties": {"$ref": "#/$defs/json"}},
    ]
}
"""A value that may hold itself, as `$defs/json`."""

SAAS: dict[str, Any] = {
    "name": "Workspace analytics",
    "version": 12,
    "unplanned": "refuse",
    "events": [
        {
            "type": "track",
            "name": "Subscription Started",
            "description": 'A trial became a "paid" plan.\nSales counts on it \\o/.',
            "schema": {
                "type": "object",
                "required": ["plan", "seats", "billing", "currency", "cancelled_by"],
                "additionalProperties": False,
                "properties": {
                    "plan": {"enum": ["team", "business", "enterprise"]},
                    "seats": {"type": "integer", "minimum": 1},
                    "billing": {
                        "oneOf": [
                            {
                                "title": "Card",
                                "type": "object",
                                "required": ["kind", "last4"],
                                "additionalProperties": False,
                                "properties": {
                                    "kind": {"const": "card"},
                                    "last4": {"type": "string", "pattern": "^[0-9]{4}$"},
                                },
                            },
                            {
                                "title": "Invoice",
                                "type": "object",
                                "required": ["kind", "address"],
                                "additionalProperties": False,
                                "properties": {
                                    "kind": {"const": "invoice"},
                                    "address": {"$ref": "#/$defs/address"},
                                    "due": {"type": "string", "format": "date"},
                                },
                            },
                        ]
                    },
                    "currency": {"const": "EUR"},
                    "discount": {"enum": [0.1, 0.25, 0.5]},
                    "cancelled_by": {"enum": ["user", "staff", None]},
                    "trial_ends_at": {"type": ["string", "null"], "format": "date-time"},
                    "timestamp": {"type": "string", "format": "time"},
                    "class": {"type": "string"},
                    "from": {"type": "string"},
                    "$price": {"type": "number", "exclusiveMinimum": 0},
                    "2fa": {"type": "boolean"},
                    "Größe": {"type": "integer"},
                    "date": {"type": "string", "format": "date"},
                    "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    "raw": {},
                    "metadata": {"$ref": "#/$defs/json"},
                    "source": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                    "device_id": {"type": "string", "format": "uuid"},
                    "integration_status_of_the_billing_provider": {
                        "enum": [f"waiting_for_the_provider_{number}" for number in range(5)]
                    },
                },
                "$defs": {"address": ADDRESS, "json": JSON_VALUE},
            },
        },
        {
            "type": "track",
            "name": "Folder Shared",
            "schema": {
                "required": ["tree"],
                "properties": {"tree": {"$ref": "#/$defs/folder"}},
                "additionalProperties": True,
                "$defs": {
                    "folder": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {
                            "name": {"type": "string"},
                            "date": {"type": "string", "format": "date"},
                            "items": {"type": "array", "items": {"$ref": "#/$defs/folder"}},
                        },
                    }
                },
            },
        },
        {
            "type": "track",
            "name": "orderId Seen",
            "schema": {
                "properties": {"orderId": {"type": "string"}, "order_id": {"type": "string"}}
            },
        },
        {
            "type": "identify",
            "schema": {
                "allOf": [
                    {"required": ["email"], "properties": {"email": {"type": "string"}}},
                    {"properties": {"age": {"type": "integer"}, "address": {"$ref": "#/$defs/a"}}},
                ],
                "$defs": {"a": {"title": "Address", **ADDRESS}},
            },
        },
        {
            "type": "group",
            "rules": {
                "required": ["traits"],
                "properties": {
                    "traits": {
                        "required": ["seats"],
                        "properties": {"seats": {"type": "integer"}, "name": {"type": "string"}},
                    }
                },
            },
        },
        {
            "type": "page",
            "name": "Pricing",
            "rules": {
                "required": ["category"],
                "properties": {
                    "category": {"enum": ["Marketing"]},
                    "properties": {"properties": {"name": {"type": "string"}}},
                },
            },
        },
        {"type": "screen"},
        {"type": "alias"},
        {"type": "track", "name": "Signed Out", "schema": False},
    ],
}
"""JSON Schemas by event, of a company that sells seats."""
