"""The environment variables that Headrace reads for itself. A configuration may name others, for its secrets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable: what it says, and what holds where it is not set."""

    name: str
    meaning: str
    default: str


VARIABLES = (
    Variable(
        "HEADRACE_WORKSPACE", "The workspace: a folder, or `postgresql://user:password@host/database`.", "`.headrace`"
    ),
    Variable(
        "HEADRACE_SCRATCH",
        "With a workspace in Postgres: the folder of this machine's files. It holds customers' rows.",
        "the user's cache folder",
    ),
    Variable(
        "HEADRACE_KEY",
        "The key that encrypts the secrets of the workspace, 32 bytes in base64 or hex. Several with commas: the first "
        "encrypts, all decrypt.",
        "the file `key` of the folder; none in Postgres",
    ),
    Variable("HEADRACE_KEY_FILE", "A file with such keys, one a line. It is read, never written.", "none"),
    Variable(
        "HEADRACE_KEY_COMMAND",
        "A command that prints such keys. No shell runs it; it has 10 seconds.",
        "none",
    ),
    Variable("HEADRACE_MEMORY_LIMIT", "How much memory the comparison may take: `512MB`, `2GB`.", "`1024MB`"),
    Variable(
        "HEADRACE_STATE_URL",
        "With a workspace in Postgres: where ledgers are kept between runs, one place for all machines, as "
        "`s3://bucket/folder` or `file:///folder`.",
        "a folder in HEADRACE_SCRATCH, for one machine",
    ),
    Variable(
        "HEADRACE_LEASE",
        "With a workspace in Postgres: after how many seconds without a sign of life a run is taken over.",
        "`60`",
    ),
    Variable("HEADRACE_WORKERS", "How many runs a worker does at once.", "`4`"),
    Variable(
        "HEADRACE_RETENTION_DAYS",
        "How many days API calls and outcomes of rows are kept where the workspace does not say; `forever` keeps all.",
        "calls 30, rows 90",
    ),
    Variable("HEADRACE_URL", "Under which address people reach the server, as `https://headrace.example.com`.", "none"),
    Variable("HEADRACE_HOSTS", "Further hosts that the server answers to, with commas.", "none"),
    Variable("HEADRACE_OIDC_ISSUER", "Who vouches for people by OpenID Connect, exactly as it calls itself.", "none"),
    Variable("HEADRACE_OIDC_CLIENT_ID", "What the issuer knows this server by.", "none"),
    Variable("HEADRACE_OIDC_CLIENT_SECRET", "The secret that the issuer gave for it.", "none"),
    Variable(
        "HEADRACE_OIDC_ROLE",
        "The role of a person of HEADRACE_OIDC_DOMAINS whom nobody invited: `viewer`, `editor`, `admin`.",
        "none: only users who are there may sign in",
    ),
    Variable("HEADRACE_OIDC_DOMAINS", "The domains of your people's addresses, with commas.", "none"),
    Variable(
        "HEADRACE_LOG",
        "How `serve` and `worker` log, to standard error: `text` for people, `json` for programs.",
        "`text` on a terminal, else `json`",
    ),
    Variable("HEADRACE_LOG_LEVEL", "From which level on: `debug`, `info`, `warning`, `error`.", "`info`"),
    Variable(
        "HEADRACE_FILES",
        "Folders whose files a configuration that comes over HTTP may name, with colons.",
        "those that `headrace apply` took a configuration from",
    ),
    Variable(
        "HEADRACE_ALLOW_HOSTS",
        "Hosts inside your network that alerts may go to, with commas, each with a port or without: "
        "`mail.internal:25`. They may be called by plain http too.",
        "none",
    ),
    Variable("HEADRACE_DEBUG", "`1` shows the traceback of a fault of ours.", "none"),
)
