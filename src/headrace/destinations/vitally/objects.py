"""Vitally's REST objects as declarations: organizations, accounts, users (vitally 5.1 to 5.3)."""

from __future__ import annotations

from headrace.destinations.vitally.activity import ACTIVITY
from headrace.destinations.vitally.connection import REST_TOKEN
from headrace.domain.spec import (
    Field,
    FieldType,
    Matching,
    Mode,
    ObjectSpec,
    Requirement,
    SyncTypeSpec,
)

_ALL = frozenset(Mode)
_CREATING = frozenset({Mode.UPSERT, Mode.INSERT})
_UPDATING = frozenset({Mode.UPDATE})
_REMOVED = frozenset[str]({"ignore", "clear", "delete"})

# What columns are often called that hold these, by REST and by Analytics.
NAMES_OF_COMPANIES = ("company", "company_name")
NAMES_OF_PARENT = ("org", "org_id", "parent_id")
NAMES_OF_PEOPLE = ("full_name", "display_name")
NAMES_OF_EMAILS = ("email_address", "mail")
NAMES_OF_PICTURES = ("avatar_url", "picture")
NAMES_OF_ACCOUNTS = ("company_id",)
NAMES_OF_ORGANIZATIONS = ("org", "org_id")
NAMES_OF_JOINING = ("signup_date", "signed_up_at")

BY_EXTERNAL_ID = Matching("externalId", "Your own id of the record.", _ALL)
_BY_ID = Matching("id", "Vitally's own id of the record. It can't create one.", _UPDATING, is_field=False)

_NAME = Field("name", FieldType.TEXT, "The name people see.", required_for=_CREATING, aliases=NAMES_OF_COMPANIES)
_TRAITS = Field(
    "traits",
    FieldType.OBJECT,
    "Your own attributes. New keys simply appear, keys that are not mapped stay untouched, null clears a trait.",
    clearable=True,
)
# vitally 4.2: these are not body fields. They are sent as traits, and Vitally fills the field from the trait that the
# workspace's settings name.
VIA_TRAITS = (
    Field(
        "mrr",
        FieldType.NUMBER,
        "Monthly recurring revenue.",
        inside="traits",
        clearable=True,
        aliases=("monthly_recurring_revenue",),
    ),
    Field(
        "nextRenewalDate",
        FieldType.DATETIME,
        "When the next renewal is due.",
        inside="traits",
        clearable=True,
        aliases=("renewal_date", "renews_at"),
    ),
    Field(
        "churnedAt",
        FieldType.DATETIME,
        "When the customer left.",
        inside="traits",
        clearable=True,
        aliases=("churn_date", "cancelled_at"),
    ),
    Field(
        "trialEndDate",
        FieldType.DATETIME,
        "When the trial ends.",
        inside="traits",
        clearable=True,
        aliases=("trial_ends_at", "trial_until"),
    ),
)

ORGANIZATION = ObjectSpec(
    name="organization",
    title="Organizations",
    help="Groups of accounts: a parent company, a book of business.",
    fields=(_NAME, _TRAITS, *VIA_TRAITS),
    modes=_ALL,
    matchings=(BY_EXTERNAL_ID, _BY_ID),
    removed_rules=_REMOVED,  # type: ignore[arg-type]
    rank=1,
)

ACCOUNT = ObjectSpec(
    name="account",
    title="Accounts",
    help="Customers: the companies that pay you.",
    fields=(
        _NAME,
        Field(
            "organizationId",
            FieldType.REFERENCE,
            "The organization the account belongs to.",
            refers_to="organization",
            clearable=True,
            aliases=NAMES_OF_PARENT,
        ),
        _TRAITS,
        *VIA_TRAITS,
    ),
    modes=_ALL,
    matchings=(BY_EXTERNAL_ID, _BY_ID),
    removed_rules=_REMOVED,  # type: ignore[arg-type]
    rank=2,
)

# vitally 5.3: at least one parent is required. The words are those that Hightouch shows.
PARENTS = ("accountIds", "organizationIds")
PARENTS_RULE = Requirement(
    PARENTS,
    frozenset({"email", "externalId"}),
    "parent_required",
    "Must specify at least one of: accountIds or organizationIds",
)

USER = ObjectSpec(
    name="user",
    title="Users",
    help="People who use your product, at one or more accounts.",
    fields=(
        Field(
            "externalId",
            FieldType.ID,
            "Your own id of the user, needed to create one when matching on email.",
            create_only=True,
        ),
        Field("name", FieldType.TEXT, "The full name.", clearable=True, aliases=NAMES_OF_PEOPLE),
        Field("email", FieldType.TEXT, "The email address.", clearable=True, aliases=NAMES_OF_EMAILS),
        Field("avatar", FieldType.TEXT, "Address of a picture.", clearable=True, aliases=NAMES_OF_PICTURES),
        Field(
            "accountIds",
            FieldType.REFERENCES,
            "The accounts the user belongs to.",
            refers_to="account",
            aliases=NAMES_OF_ACCOUNTS,
        ),
        Field(
            "organizationIds",
            FieldType.REFERENCES,
            "The organizations the user belongs to.",
            refers_to="organization",
            aliases=NAMES_OF_ORGANIZATIONS,
        ),
        Field(
            "joinDate",
            FieldType.DATETIME,
            "When the user joined.",
            clearable=True,
            aliases=NAMES_OF_JOINING,
        ),
        Field("unsubscribedFromConversations", FieldType.BOOLEAN, "Whether the user wants no conversations."),
        _TRAITS,
    ),
    modes=_ALL,
    matchings=(
        BY_EXTERNAL_ID,
        Matching("email", "The email address, compared without case and surrounding blanks.", _ALL, folds=True),
        _BY_ID,
    ),
    requirements=(
        Requirement(("externalId",), frozenset({"email"}), "field_required", "Required field"),
        PARENTS_RULE,
    ),
    removed_rules=_REMOVED,  # type: ignore[arg-type]
    rank=3,
)

REST_OBJECTS = SyncTypeSpec(
    name="rest_objects",
    title="REST objects",
    help="One request a record, each with its own answer: upsert, update, insert, removal.",
    secret=REST_TOKEN.name,
    objects=(ORGANIZATION, ACCOUNT, USER, *ACTIVITY),
)
