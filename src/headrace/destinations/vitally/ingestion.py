"""What Vitally's Analytics API takes, as declarations: organizations, accounts, users, instances, events (vitally 7).

Parents are named by our own ids here, and nothing has to be looked up.
"""

from __future__ import annotations

from headrace.destinations.vitally.activity import CUSTOM_OBJECT
from headrace.destinations.vitally.connection import ANALYTICS_TOKEN
from headrace.destinations.vitally.objects import (
    BY_EXTERNAL_ID,
    NAMES_OF_ACCOUNTS,
    NAMES_OF_COMPANIES,
    NAMES_OF_EMAILS,
    NAMES_OF_JOINING,
    NAMES_OF_ORGANIZATIONS,
    NAMES_OF_PARENT,
    NAMES_OF_PEOPLE,
    NAMES_OF_PICTURES,
    PARENTS_RULE,
    VIA_TRAITS,
)
from headrace.domain.spec import Field, FieldType, Matching, Mode, ObjectSpec, Requirement, SyncTypeSpec

_UPSERT = frozenset({Mode.UPSERT})
_OURS = frozenset({"external_id"})
_MATCHINGS = (Matching(BY_EXTERNAL_ID.field, BY_EXTERNAL_ID.help, _UPSERT),)

# vitally 7, "special traits": these set the record's own field; every other trait is stored under its key.
_NAME = Field("name", FieldType.TEXT, "The name people see.", inside="traits", aliases=NAMES_OF_COMPANIES)
_AVATAR = Field("avatar", FieldType.TEXT, "Address of a picture.", inside="traits", aliases=NAMES_OF_PICTURES)
_TRAITS = Field(
    "traits",
    FieldType.OBJECT,
    "Your own attributes. New keys simply appear, keys that are not mapped stay untouched, null clears a trait.",
    section=True,
)

ORGANIZATION = ObjectSpec(
    name="organization",
    title="Organizations",
    help="Groups of accounts. Only for workspaces that have organizations switched on.",
    fields=(_NAME, _AVATAR, *VIA_TRAITS, _TRAITS),
    modes=_UPSERT,
    matchings=_MATCHINGS,
    rank=1,
)

ACCOUNT = ObjectSpec(
    name="account",
    title="Accounts",
    help="Customers: the companies that pay you.",
    fields=(
        _NAME,
        _AVATAR,
        Field(
            "organizationId",
            FieldType.REFERENCE,
            "Your own id of the organization that the account belongs to.",
            refers_to="organization",
            by=_OURS,
            aliases=NAMES_OF_PARENT,
        ),
        *VIA_TRAITS,
        _TRAITS,
    ),
    modes=_UPSERT,
    matchings=_MATCHINGS,
    rank=2,
)

USER = ObjectSpec(
    name="user",
    title="Users",
    help="People who use your product. A user of several accounts is one message for each of them.",
    fields=(
        Field(
            "accountIds",
            FieldType.REFERENCES,
            "Your own ids of the accounts that the user belongs to; one that Vitally does not know is created.",
            refers_to="account",
            by=_OURS,
            aliases=NAMES_OF_ACCOUNTS,
        ),
        Field(
            "organizationIds",
            FieldType.REFERENCES,
            "Your own ids of the organizations that the user belongs to.",
            refers_to="organization",
            by=_OURS,
            aliases=NAMES_OF_ORGANIZATIONS,
        ),
        Field("name", FieldType.TEXT, "The full name.", inside="traits", aliases=NAMES_OF_PEOPLE),
        Field("email", FieldType.TEXT, "The email address.", inside="traits", aliases=NAMES_OF_EMAILS),
        _AVATAR,
        Field("createdAt", FieldType.DATETIME, "When the user joined.", inside="traits", aliases=NAMES_OF_JOINING),
        _TRAITS,
    ),
    modes=_UPSERT,
    matchings=_MATCHINGS,
    requirements=(PARENTS_RULE,),
    rank=3,
)

# vitally 7.7: the newest message. Its `name` is a field of its own, and one parent must stand in each message.
INSTANCE = ObjectSpec(
    name="custom_object_instance",
    title="Custom object instances",
    help="Records of a custom object that your workspace has defined, upserted by your own ids.",
    fields=(
        Field("name", FieldType.TEXT, "The name people see."),
        Field(
            "accountId",
            FieldType.REFERENCE,
            "Your own id of the account it belongs to.",
            refers_to="account",
            by=_OURS,
        ),
        Field(
            "organizationId",
            FieldType.REFERENCE,
            "Your own id of the organization it belongs to.",
            refers_to="organization",
            by=_OURS,
        ),
        _TRAITS,
    ),
    modes=_UPSERT,
    matchings=_MATCHINGS,
    requirements=(
        Requirement(
            ("accountId", "organizationId"),
            frozenset(),
            "parent_required",
            "Must specify at least one of: accountId or organizationId",
        ),
    ),
    settings=CUSTOM_OBJECT,
    rank=4,
)

EVENT = ObjectSpec(
    name="event",
    title="Events",
    help="What users do in your product. Each primary key is sent once, whatever becomes of its row afterwards.",
    fields=(
        Field(
            "event",
            FieldType.TEXT,
            "The name of the event.",
            required_for=frozenset({Mode.INSERT}),
            section=True,
            aliases=("event_name", "event_type", "action"),
        ),
        Field(
            "timestamp",
            FieldType.DATETIME,
            "When it happened. Without one, the time of its arrival counts.",
            section=True,
            aliases=("occurred_at", "happened_at", "created_at"),
        ),
        # vitally 7.4: at least one subject. With a user alone, Vitally takes the account the user was last seen with.
        Field("userId", FieldType.ID, "Your own id of the user who did it."),
        Field("accountId", FieldType.ID, "Your own id of the account it happened in."),
        Field("organizationId", FieldType.ID, "Your own id of the organization it happened in."),
        Field("properties", FieldType.OBJECT, "Anything else about the event, of any type.", section=True),
    ),
    modes=frozenset({Mode.INSERT}),
    matchings=(),
    requirements=(
        Requirement(
            ("userId", "accountId", "organizationId"),
            frozenset(),
            "parent_required",
            "Must specify at least one of: userId, accountId or organizationId",
        ),
    ),
    rank=9,
    once=True,
)

ANALYTICS_OBJECTS = SyncTypeSpec(
    name="analytics_objects",
    title="Analytics objects",
    help="A hundred records a request, upserted by your own ids. One answer for all of them.",
    secret=ANALYTICS_TOKEN.name,
    objects=(ORGANIZATION, ACCOUNT, USER, INSTANCE),
)

EVENTS = SyncTypeSpec(
    name="events",
    title="Events",
    help="Product events, a hundred a request, each primary key once for the life of the sync.",
    secret=ANALYTICS_TOKEN.name,
    objects=(EVENT,),
)
