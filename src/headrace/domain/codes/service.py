"""The codes of the service and of access."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from headrace.domain.codes.code import Code

SERVICE: Mapping[str, Code] = MappingProxyType(
    {
        # Runs and workers ------------------------------------------------------------------------------------------
        "run_lost": Code(
            "service",
            "A process went on with a run that was no longer its own, and stopped.",
            "It stood still for longer than its lease: a suspended machine, a stopped container, a lost database.",
            "Nothing: another run of the sync goes on where this one was. Look at the machine if it comes again.",
        ),
        "state_unavailable": Code(
            "service",
            "A file of a sync (its ledger, a plan) can't be kept at, or fetched from, the state URL.",
            "HEADRACE_STATE_URL differs between machines, the storage is away, or a file was removed there.",
            "Give all machines one HEADRACE_STATE_URL and the right to read and write there, then run the sync again.",
        ),
        "idempotency_key_reused": Code(
            "service",
            "An Idempotency-Key came a second time, with another request.",
            "A client makes its keys from too little, or uses one key for all it does.",
            "Make a new key for each trigger; repeat a key only together with the very same request.",
        ),
        # Operations ------------------------------------------------------------------------------------------------
        "retention_invalid": Code(
            "service",
            "A time to keep things for is none.",
            "A word or a negative number where days belong, or a key that retention does not have.",
            "Write a number of days from 1, or null (in HEADRACE_RETENTION_DAYS: `forever`) to keep for ever.",
        ),
        # Schedules, sequences, alerts ------------------------------------------------------------------------------
        "schedule_invalid": Code(
            "service",
            "A schedule can't be carried out.",
            "The cron expression is mistyped, no date meets it, or the time zone is not an IANA name.",
            "Write `{every: 15m}`, or five fields and a zone: `{cron: '0 6 * * MON-FRI', timezone: Europe/Berlin}`.",
        ),
        "not_scheduled": Code(
            "service",
            "There is nothing to pause.",
            "The sync or sequence has no schedule: it runs when somebody asks.",
            "Give it a schedule, or leave it: it does not run by itself.",
        ),
        "sequence_busy": Code(
            "service",
            "A run of the sequence was not started, because one is under way.",
            "It takes longer than the time between two starts.",
            "Wait for it, cancel it, or give the sequence `overlap: queue`.",
        ),
        "address_refused": Code(
            "service",
            "An address that somebody configured was not called.",
            "It is not https, or it leads to a host inside a network: a name that resolves to one counts too.",
            "Use an https address out in the world. An admin may except a host of your own with HEADRACE_ALLOW_HOSTS.",
        ),
        "channel_failed": Code(
            "service",
            "An alert could not be delivered.",
            "The place it goes to is down, slow, has another address now, or refused the sign-in.",
            "Nothing at once: it is tried again for some hours. `headrace channels test NAME` tells what comes back.",
        ),
        "channel_unavailable": Code(
            "service",
            "A channel needs something that is not installed.",
            "Apprise is an extra: `pip install headrace` does not bring it.",
            "Install `headrace[apprise]`, or use a channel of type `webhook` or `email`.",
        ),
        # Keys of the secrets ---------------------------------------------------------------------------------------
        "vault_key_missing": Code(
            "service",
            "The workspace holds secrets, or is to hold one, and there is no key.",
            "A new machine or container that was not given the key; a folder that was copied without its file `key`.",
            "Give the key in HEADRACE_KEY, HEADRACE_KEY_FILE or HEADRACE_KEY_COMMAND, the same on every machine.",
        ),
        "key_command_failed": Code(
            "service",
            "The command that should print the key of the secrets failed.",
            "It is not installed, not signed in, slow, or mistyped.",
            "Run it by hand as the same user. It must print the key within 10 seconds and end with 0.",
        ),
        # Access ----------------------------------------------------------------------------------------------------
        "signed_out": Code(
            "access",
            "Something was asked for by nobody in particular.",
            "The session has ended, or the API key is missing, expired, revoked or mistyped.",
            "Sign in again, or send `Authorization: Bearer <key>` with a key that is alive.",
        ),
        "forbidden": Code(
            "access",
            "Who asked may not do this.",
            "The role of the person, or the scopes of the API key, do not cover it.",
            "Ask an admin of the workspace for another role, or use a key with that scope.",
        ),
        "password_weak": Code(
            "access",
            "A password is too easy to guess.",
            "It is shorter than 12 characters, or little more than a common word or one's own name.",
            "Choose a longer one; four random words do.",
        ),
        "link_invalid": Code(
            "access",
            "A one-time link does not work.",
            "It was used, replaced by a newer one, or is older than 24 hours.",
            "Ask an admin for a new one. For the very first owner: start the server again, it prints another.",
        ),
        "sign_in_failed": Code(
            "access",
            "A sign-in was refused.",
            "The address or the password is wrong, or the user is disabled. Which of them is not told.",
            "Try again, or ask an admin for a link to set a new password.",
        ),
        "too_many_tries": Code(
            "access",
            "Sign-ins must wait a while.",
            "Too many failed lately, for this account or from this address.",
            "Wait as long as the message says; the right password works then. Nothing is locked for good.",
        ),
        "last_admin": Code(
            "access",
            "The last admin would be gone.",
            "Somebody takes the role of admin from the only one, or disables them.",
            "Make somebody else an admin first.",
        ),
        "email_invalid": Code(
            "access",
            "Something is not an e-mail address.",
            "A typing error.",
            "Write it as name@example.com.",
        ),
        "key_name_missing": Code(
            "access",
            "An API key has no name.",
            "The name was left empty.",
            "Name the key after what uses it, so that somebody dares to revoke it later.",
        ),
        "audit_broken": Code(
            "access",
            "The audit log is not as it was written.",
            "Somebody who can write the database altered an entry, put one in or took one out.",
            "Compare the log with a backup from before, and look who can reach the database.",
        ),
        "cross_site": Code(
            "access",
            "A browser was made to post from another site.",
            "A page of somebody else sent the request, or a program that uses a session's cookie.",
            "Use the web app itself; in programs use an API key instead of a session.",
        ),
        "key_in_address": Code(
            "access",
            "An API key stood in the address of a request.",
            "A client passes it as a parameter.",
            "Send `Authorization: Bearer <key>`, and revoke the key that was in the address: logs have it.",
        ),
        "host_unknown": Code(
            "access",
            "A request was for a host that the server does not know itself by.",
            "A proxy or a DNS name in front of it that was not told, or an attack by DNS rebinding.",
            "Start the server with HEADRACE_URL, or name the host in HEADRACE_HOSTS.",
        ),
        "bind_refused": Code(
            "access",
            "The server did not listen on an address that others can reach.",
            "There is no user yet, or no name under which it is reached.",
            "Do what the message says: make the owner first; set HEADRACE_URL.",
        ),
        "body_too_large": Code(
            "service",
            "A request's body was larger than the server takes.",
            "A whole file was sent where a setting belongs.",
            "Send less. Large configurations are applied with `headrace apply`.",
        ),
        "changed_meanwhile": Code(
            "service",
            "Somebody else changed the object first.",
            "Two people, or a person and `apply`, edit the same object.",
            "Load it again and make the change anew.",
        ),
        "busy": Code(
            "service",
            "So much is being previewed and planned that one more must wait.",
            "Many people, or a program in a loop, ask for heavy work at once.",
            "Try again in some seconds.",
        ),
        "path_not_allowed": Code(
            "service",
            "A configuration that came over HTTP names a file outside the folders that are allowed.",
            "Somebody typed a path of the server, or of their own machine.",
            "Allow its folder with HEADRACE_FILES on the server, or apply the file there with `headrace apply`.",
        ),
        "request_invalid": Code(
            "service",
            "A request of the API is not what its route takes.",
            "A misspelt field or parameter, a value of another type, a wrong method.",
            "Compare it with the reference of the API, or with `/api/v1/openapi.json` of the server.",
        ),
        "issuer_failed": Code(
            "access",
            "The issuer of OpenID Connect does not answer as it should.",
            "It is down, this server may not reach it, or HEADRACE_OIDC_ISSUER is not what it calls itself.",
            "Sign in with a password meanwhile. Compare the setting with what its `openid-configuration` says.",
        ),
        "extra_missing": Code(
            "service",
            "A setting asks for a part that is not installed.",
            "Headrace was installed without the extra that the setting needs.",
            "Install it: the message names it, for example `pip install 'headrace[oidc]'`.",
        ),
    }
)
