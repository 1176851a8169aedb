"""The fields of every kind, line by line; how to read a line stands in `kinds`.  Source: vitally.md 5 and 6.

Every kind also has `id`, `createdAt` and `updatedAt`. A line marked `hidden` is accepted in a body but never answered.
"""

TABLES: dict[str, str] = {}

# vitally.md 5.1, D-ORG
TABLES["organizations"] = """
externalId            string     R
name                  string     R U
traits                traits     U
organizationOwnerId   id         -
mrr                   number     -
firstPaidDate         datetime   -
nextRenewalDate       datetime   -
churnedAt             datetime   -
trialEndDate          datetime   -
usersCount            integer    - #users
accountsCount         integer    - #accounts
healthScore           number     -
npsScore              number     -
csmId                 id         -
accountExecutiveId    id         -
keyRoles              array      -
segments              array      -
"""

# vitally.md 5.2, D-ACC
TABLES["accounts"] = """
externalId                    string     R
name                          string     R U
traits                        traits     U
organizationId                id?        U ->organizations
accountOwnerId                id?        N
mrr                           number     -
firstPaidDate                 datetime   -
nextRenewalDate               datetime   -
churnedAt                     datetime   -
trialEndDate                  datetime   -
firstSeenTimestamp            datetime   -
lastSeenTimestamp             datetime   -
lastInboundMessageTimestamp   datetime   -
lastOutboundMessageTimestamp  datetime   -
usersCount                    integer    - #users
npsDetractorCount             integer    -
npsPassiveCount               integer    -
npsPromoterCount              integer    -
npsScore                      number     -
healthScore                   number     -
csmId                         id         -
accountExecutiveId            id         -
keyRoles                      array      -
segments                      array      -
"""

# vitally.md 5.3, D-USR. That name, email and avatar may be cleared with null is our reading of "clear a value" (9).
TABLES["users"] = """
externalId                       string     R
name                             string?    U
email                            string?    U
avatar                           string?    U
traits                           traits     U
firstKnown                       datetime   -
joinDate                         datetime?  U
lastSeenTimestamp                datetime   -
lastInboundMessageTimestamp      datetime   -
lastOutboundMessageTimestamp     datetime   -
npsLastScore                     integer?   -
npsLastFeedback                  string     -
npsLastRespondedAt               datetime   -
unsubscribedFromConversations    boolean    U
unsubscribedFromConversationsAt  datetime   -
deactivatedAt                    datetime   -
permanentlyBounced               boolean    -
segments                         array      -
accountIds                       ids        U ->accounts
organizationIds                  ids        U ->organizations
accounts                         array      - =accountIds
organizations                    array      - =organizationIds
"""

# vitally.md 6.1, D-NOTE
TABLES["notes"] = """
externalId      string     C
note            html       R U
noteDate        datetime   R U
subject         string?    U
authorId        id?        U ->admins
categoryId      id?        U ->noteCategories
tags            strings    U
traits          traits     U
accountId       id?        U ->accounts
organizationId  id?        U ->organizations
archivedAt      datetime   -
source          string     -
account         object     - =accountId
organization    object     - =organizationId
author          object     - =authorId
category        object     - =categoryId
"""

# vitally.md 6.2, D-TASK
TABLES["tasks"] = """
externalId      string     C
name            string     R U
description     html?      U
dueDate         day?       U
assignedToId    id?        U ->admins
completedById   id?        U ->admins
completedAt     datetime?  U
categoryId      id?        U ->taskCategories
tags            strings    U
traits          traits     U
accountId       id?        U ->accounts
organizationId  id?        U ->organizations
createdById     id         -
meetingId       id         -
projects        array      -
archivedAt      datetime   -
source          string     -
account         object     - =accountId
organization    object     - =organizationId
category        object     - =categoryId
"""

# vitally.md 6.3, D-PT. customerId is the older name of accountId, still sent by public clients.
TABLES["projects"] = """
templateId            id         R ->projectTemplates
name                  string     U
targetStartDate       day?       U
targetCompletionDate  day?       U
projectStatusId       id?        U
projectCategoryId     id?        U ->projectCategories
ownedByVitallyUserId  id?        U ->admins
traits                traits     U
accountId             id?        C ->accounts
customerId            id?        C ->accounts hidden
organizationId        id?        C ->organizations
actualStartDate       datetime   -
actualCompletionDate  datetime   -
durationInDays        number     -
archivedAt            datetime   -
account               object     - =accountId
organization          object     - =organizationId
"""

# vitally.md 6.5, D-NPS
TABLES["npsResponses"] = """
externalId   string     C
userId       id         RR ->users
score        score      RR
feedback     string?    U
respondedAt  datetime   RR
"""

# vitally.md 6.4, D-CONV
TABLES["conversations"] = """
externalId   string     C
externalUrl  string     -
subject      string     RR
messages     array      RR hidden
traits       traits     U
status       string     -
source       string     -
rating       number     -
"""
TABLES["messages"] = """
externalId      string     C
message         html       R
from            object     R
to              array      R
cc              array      C
bcc             array      C
timestamp       datetime   C
type            string     -
conversationId  id         - ->conversations
"""

# vitally.md 6.6, D-CO. An instance calls its account customerId.
TABLES["customObjects"] = """
name          string     R U
label         string     R U
writeMode     writeMode  R U
syncActive    boolean    U
customFields  array      -
"""
TABLES["instances"] = """
externalId              string?    U
name                    string     R U
traits                  traits     U
customObjectId          id         - ->customObjects
createdByVitallyUserId  id         -
ownedByVitallyUserId    id?        U ->admins
customerId              id?        U ->accounts
organizationId          id?        U ->organizations
archivedAt              datetime   -
customer                object     - =customerId
customers               array      - =customerId
organization            object     - =organizationId
"""

# vitally.md 6.1 to 6.3, 6.7, 6.8: read by clients, filled by seeds.
TABLES["admins"] = """
name           string  R
email          string  R
licenseStatus  string  -
"""
TABLES["noteCategories"] = "name  string  R"
TABLES["taskCategories"] = "name  string  R"
TABLES["projectCategories"] = "name  string  R"
TABLES["projectTemplates"] = """
name        string  R
categoryId  id?     C
"""
TABLES["customFields"] = """
label           string  R
path            string  R
type            string  R
options         array   C
model           string  R
customObjectId  id      C
"""
