"""Vitally's further REST objects as declarations: notes, tasks, projects, NPS responses, conversations and instances of
custom objects (vitally 6).

What is declared is what the documents say can be done, and no more. Why something is missing stands in `notes`.
"""

from __future__ import annotations

from headrace.destinations.vitally.settings import InstanceSettings, SourceSettings, check_instance, check_source
from headrace.domain.spec import Field, FieldType, Matching, Mode, ObjectSpec, RemovedRule, Requirement, SettingsSpec

_ALL = frozenset(Mode)
_UPSERT = frozenset({Mode.UPSERT})
_UPDATE = frozenset({Mode.UPDATE})
_CREATING = frozenset({Mode.UPSERT, Mode.INSERT})
_UPSERT_OR_UPDATE = frozenset({Mode.UPSERT, Mode.UPDATE})
_BY_EXTERNAL_ID = frozenset({"externalId"})
_REMOVED: frozenset[RemovedRule] = frozenset({"ignore", "clear", "delete"})
_DELETED: frozenset[RemovedRule] = frozenset({"ignore", "delete"})
_RANK = 4  # after organizations, accounts and users, which they belong to

_BY_ID = Matching("id", "Vitally's own id of the record. It can't create one.", _UPDATE, is_field=False)
_AFTER_ARCHIVE = "Whether an archived record that is written to again shows itself again is documented nowhere."
# vitally 4: an external id in the path of a note or a task works only beside the name of the integration.
_NO_INSERT = (
    "There is no `insert`: without the right `source` Vitally does not find a record by its external id, and a "
    "creation would change the record that has it."
)
_HTML = "Of its tags Vitally keeps a, img, p, div, br, ul, ol, nl, li, b, u, i, strong, em and code."

# vitally 4.2: of these objects the keys must be those of custom traits.
_TRAITS = Field(
    "traits",
    FieldType.OBJECT,
    "Custom traits, each under its path in Vitally, such as vitally.custom.nextSteps. Others stay untouched.",
    clearable=True,
)
_TAGS = Field("tags", FieldType.TEXTS, "Labels. The list replaces the one that is there.", clearable=True)
_SOURCE = SettingsSpec(SourceSettings, check_source, frozenset({"source"}))
CUSTOM_OBJECT = SettingsSpec(InstanceSettings, check_instance, frozenset({"custom_object"}))


def _parents(account: str, modes: frozenset[Mode]) -> tuple[tuple[Field, Field], Requirement]:
    """The account and the organization a record belongs to, and the rule that one of them must be there."""
    names = (account, "organizationId")
    fields = (
        Field(account, FieldType.REFERENCE, "The account it belongs to.", refers_to="account"),
        Field("organizationId", FieldType.REFERENCE, "The organization it belongs to.", refers_to="organization"),
    )
    message = f"Must specify at least one of: {' or '.join(names)}"
    return fields, Requirement(names, _BY_EXTERNAL_ID, "parent_required", message, modes)


_CUSTOMER, _CUSTOMER_NEEDED = _parents("accountId", _UPSERT)

NOTE = ObjectSpec(
    name="note",
    title="Notes",
    help="What somebody wrote down about an account or an organization.",
    fields=(
        Field("note", FieldType.HTML, f"The text. {_HTML}", required_for=_UPSERT),
        Field("noteDate", FieldType.DATETIME, "When it was written.", required_for=_UPSERT),
        *_CUSTOMER,
        Field("subject", FieldType.TEXT, "The title.", clearable=True),
        Field("authorId", FieldType.ID, "Vitally's id of the admin who wrote it."),
        Field("categoryId", FieldType.ID, "Vitally's id of a note category.", clearable=True),
        _TAGS,
        _TRAITS,
    ),
    modes=_UPSERT_OR_UPDATE,
    matchings=(Matching("externalId", "Your own id of the note.", _UPSERT_OR_UPDATE), _BY_ID),
    requirements=(_CUSTOMER_NEEDED,),
    removed_rules=_REMOVED,
    settings=_SOURCE,
    archives=True,
    listed=False,
    named_by_own_id=True,
    notes=(_NO_INSERT, _AFTER_ARCHIVE),
    rank=_RANK,
)

TASK = ObjectSpec(
    name="task",
    title="Tasks",
    help="What somebody has to do for an account or an organization.",
    fields=(
        Field("name", FieldType.TEXT, "What is to be done.", required_for=_UPSERT),
        *_CUSTOMER,
        Field("description", FieldType.HTML, f"More about it. {_HTML}", clearable=True),
        Field("dueDate", FieldType.DATE, "The day it is due.", clearable=True),
        Field("assignedToId", FieldType.ID, "Vitally's id of the admin who is to do it.", clearable=True),
        Field("completedById", FieldType.ID, "Vitally's id of the admin who has done it.", clearable=True),
        Field("completedAt", FieldType.DATETIME, "When it was done.", clearable=True),
        Field("categoryId", FieldType.ID, "Vitally's id of a task category.", clearable=True),
        _TAGS,
        _TRAITS,
    ),
    modes=_UPSERT_OR_UPDATE,
    matchings=(Matching("externalId", "Your own id of the task.", _UPSERT_OR_UPDATE), _BY_ID),
    requirements=(_CUSTOMER_NEEDED,),
    removed_rules=_REMOVED,
    settings=_SOURCE,
    archives=True,
    listed=False,
    named_by_own_id=True,
    notes=(_NO_INSERT, _AFTER_ARCHIVE),
    rank=_RANK,
)

PROJECT = ObjectSpec(
    name="project",
    title="Projects",
    help="Plans of work with an account or an organization, made in Vitally from a template.",
    fields=(
        Field("name", FieldType.TEXT, "The name people see."),
        Field("targetStartDate", FieldType.DATE, "The day it is to start.", clearable=True),
        Field("targetCompletionDate", FieldType.DATE, "The day it is to be done.", clearable=True),
        Field("projectStatusId", FieldType.ID, "Vitally's id of a project status.", clearable=True),
        Field("projectCategoryId", FieldType.ID, "Vitally's id of a project category.", clearable=True),
        Field("ownedByVitallyUserId", FieldType.ID, "Vitally's id of the admin who owns it.", clearable=True),
        _TRAITS,
    ),
    modes=_UPDATE,
    matchings=(_BY_ID,),
    removed_rules=_REMOVED,
    archives=True,
    notes=(
        "They can't be created: a project has no external id, so one whose creation got no answer could not be found "
        "again, and a second try could make a second project.",
        "Account and organization are fixed when a project is created.",
        _AFTER_ARCHIVE,
    ),
    rank=_RANK,
)

NPS_RESPONSE = ObjectSpec(
    name="nps_response",
    title="NPS responses",
    help="Answers of users to the question whether they would recommend you.",
    fields=(
        Field(
            "userId", FieldType.REFERENCE, "The user who answered.", refers_to="user", required_for=_UPSERT_OR_UPDATE
        ),
        Field("respondedAt", FieldType.DATETIME, "When the user answered.", required_for=_UPSERT_OR_UPDATE),
        Field(
            "score",
            FieldType.INTEGER,
            "How likely the user is to recommend you.",
            required_for=_UPSERT_OR_UPDATE,
            between=(0, 10),
        ),
        Field("feedback", FieldType.TEXT, "What the user wrote."),
    ),
    modes=_UPSERT_OR_UPDATE,
    matchings=(Matching("externalId", "Your own id of the response.", _UPSERT_OR_UPDATE), _BY_ID),
    removed_rules=_DELETED,
    listed=False,
    notes=(
        "There is no `insert`: no way to read one response is documented, so whether it exists can't be asked, and a "
        "creation would change the one that has the external id.",
    ),
    rank=_RANK,
)

CONVERSATION = ObjectSpec(
    name="conversation",
    title="Conversations",
    help="Records of what was said elsewhere, in mails or chats. Vitally sends nothing.",
    fields=(
        Field("subject", FieldType.TEXT, "The subject.", required_for=_ALL),
        Field(
            "messages",
            FieldType.LIST,
            "A JSON array of messages, which may be empty. Each is an object with externalId, message (HTML), from and "
            "to ({type: admin or user, id: Vitally's own id}), and at will cc, bcc, timestamp. It is sent as it is.",
            required_for=_ALL,
        ),
        _TRAITS,
    ),
    modes=_ALL,
    matchings=(Matching("externalId", "Your own id of the conversation.", _ALL), _BY_ID),
    removed_rules=_DELETED,
    notes=(
        "Give each message an externalId. What Vitally does with messages that are sent again without one is "
        "documented nowhere.",
        "Our ids of the people in a message are not looked up: the model must give Vitally's own.",
    ),
    rank=_RANK,
)

_ITS_CUSTOMER, _ITS_CUSTOMER_NEEDED = _parents("customerId", _CREATING)

CUSTOM_OBJECT_INSTANCE = ObjectSpec(
    name="custom_object_instance",
    title="Custom object instances",
    help="Records of a custom object that your workspace has defined.",
    fields=(
        Field("name", FieldType.TEXT, "The name people see.", required_for=_CREATING),
        *_ITS_CUSTOMER,
        Field("ownedByVitallyUserId", FieldType.ID, "Vitally's id of the admin who owns it.", clearable=True),
        _TRAITS,
    ),
    modes=_ALL,
    matchings=(Matching("externalId", "Your own id of the instance.", _ALL), _BY_ID),
    requirements=(_ITS_CUSTOMER_NEEDED,),
    removed_rules=_REMOVED,
    settings=CUSTOM_OBJECT,
    archives=True,
    notes=(
        "Whether Vitally moves an existing instance to another account or organization is documented two ways; the new "
        "one is sent when it changes.",
        _AFTER_ARCHIVE,
    ),
    rank=_RANK,
)

ACTIVITY = (NOTE, TASK, PROJECT, NPS_RESPONSE, CONVERSATION, CUSTOM_OBJECT_INSTANCE)
