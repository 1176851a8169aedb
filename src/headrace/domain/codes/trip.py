"""The codes of the trip of a row: of rows, configuration, sources, destinations, runs, the workspace, commands."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from headrace.domain.codes.code import Code

TRIP: Mapping[str, Code] = MappingProxyType(
    {
        # One row ---------------------------------------------------------------------------------------------------
        "primary_key_null": Code(
            "row",
            "The row's primary key is null or blank.",
            "An outer join, or a source that lets the key be empty.",
            "Filter such rows out in the model's SQL, or choose a primary key that is never null.",
        ),
        "primary_key_duplicate": Code(
            "row",
            "Several rows of the model have the same primary key; none of them is sent.",
            "A join that multiplies rows, or a primary key that needs a second column.",
            "Make the key unique in the SQL, or name all its columns: `primary_key: [a, b]`. "
            "`headrace preview` shows which keys are repeated.",
        ),
        "match_value_missing": Code(
            "row",
            "The column that finds the row's record is null or blank.",
            "The model holds rows that have no id of the matched kind yet.",
            "Fill the column, filter such rows out, or match on another column.",
        ),
        "match_value_duplicate": Code(
            "row",
            "Two rows have the same match value, so both would write to one record; neither is sent.",
            "The match column is not as unique as the primary key.",
            "Make the match column unique in the model.",
        ),
        "match_ambiguous": Code(
            "row",
            "The destination has several records with this match value, so which one is meant can't be known.",
            "Two users with the same email address.",
            "Merge them in the destination, or match on your own id.",
        ),
        "field_required": Code(
            "row",
            "A field that this object, mode and match need is not mapped, or is null or empty in this row.",
            "A name that is null in the source, or a mapping that lacks the field.",
            "Map the field, or fill the column. In the configuration the same code names the key that is required.",
        ),
        "parent_required": Code(
            "row",
            "A user must belong to at least one account or organization, and neither is given.",
            "The row's parent columns are null, or none is mapped.",
            "Map `accountIds` or `organizationIds` to a column that is never null.",
        ),
        "parent_not_found": Code(
            "row",
            "The destination has no record with the external id that the row names as its parent.",
            "The parents' sync has not run yet, or the id is spelled differently there.",
            "Sync organizations before accounts and accounts before users (`run --all` does), or mend the value.",
        ),
        "type_mismatch": Code(
            "row",
            "A value is not of the type that its field takes.",
            "Text in a date field, a number that is text, JSON that does not parse.",
            "Convert it: `as: datetime` and the like on the rule, or a cast in the model's SQL.",
        ),
        "template_error": Code(
            "row",
            "A Liquid template can't be read, or fails on a row: a filter refuses a value, or a limit is reached.",
            "A tag that is not closed, a filter that does not exist, a text that is no number, a division by 0.",
            "The message gives line and column inside the template. `headrace test-row` shows what it renders.",
        ),
        "record_not_found": Code(
            "row",
            "There is no such record at the destination. In mode update the row is skipped.",
            "The record was never created, or was deleted there.",
            "Nothing, if that is meant; it is asked again when the row changes, or after `recheck_skipped_after`. "
            "Else use mode upsert.",
        ),
        "record_exists": Code(
            "row",
            "The record exists at the destination already. In mode insert the row is skipped.",
            "It was created by hand or by another system.",
            "Nothing, if that is meant. Else use mode upsert.",
        ),
        "destination_rejected": Code(
            "row",
            "The destination refused the row; its own words are in the message.",
            "A value that it does not accept, or a rule of that workspace.",
            "Read its words and the call (`headrace calls --key KEY`), then mend the value or the mapping.",
        ),
        "rate_limited": Code(
            "row",
            "The destination kept answering that there were too many requests; the row is owed.",
            "Somebody else uses the same token, or `rate_limit` is above what the destination grants.",
            "Lower `rate_limit` of the destination, or give Headrace a token of its own. The row is planned again.",
        ),
        # Configuration ---------------------------------------------------------------------------------------------
        "yaml_invalid": Code(
            "configuration",
            "A file is not YAML, not UTF-8 text, or too large.",
            "A tab, a missing colon, a quote that is not closed.",
            "Look at the line that the finding names.",
        ),
        "file_unreadable": Code(
            "configuration",
            "A configuration file or a SQL file can't be read.",
            "A wrong path in `sql_file`, or missing rights.",
            "Paths are relative to the file that says them; check path and rights.",
        ),
        "no_files": Code(
            "configuration",
            "The folder holds no YAML file.",
            "A command that was given the wrong folder.",
            "Name the folder of the configuration, or make a first one with `headrace init`.",
        ),
        "declared_twice": Code(
            "configuration",
            "Two files, or two places of one, declare an object of the same kind and name.",
            "A copied file.",
            "Keep one of them, or rename the other.",
        ),
        "unknown_key": Code(
            "configuration",
            "A key that does not belong where it stands.",
            "A slip of the pen, or a section of another sync type.",
            "The message offers the nearest keys; the reference of the configuration lists all.",
        ),
        "unknown_value": Code(
            "configuration",
            "A value that is none of those allowed there.",
            "A slip of the pen in a type, a mode, an object, a zone or a span of time.",
            "The message says which values there are.",
        ),
        "unknown_field": Code(
            "configuration",
            "The object has no such field.",
            "A value of your own that stands beside the fields.",
            "Put values of your own inside `traits`; the reference lists the fields of each object.",
        ),
        "key_missing": Code(
            "configuration",
            "A required key is not there.",
            "An object that is not finished.",
            "Add the key that the finding names.",
        ),
        "wrong_type": Code(
            "configuration",
            "A value of another type than the key takes, such as text in place of a mapping.",
            "Wrong indentation, or a missing pair of braces.",
            "Look at the line that the finding names; `headrace schema` gives editors the types.",
        ),
        "field_twice": Code(
            "configuration",
            "A field is mapped although it is sent by itself already.",
            "`externalId` under `fields` of a sync that matches on `externalId`; the field that holds the message id.",
            "Take it out of `fields`.",
        ),
        "mode_not_allowed": Code(
            "configuration",
            "The chosen way to match does not work in the chosen mode.",
            "Matching on the destination's own id in a mode that creates records.",
            "Match on your own id, or use mode update.",
        ),
        "column_missing": Code(
            "configuration",
            "A primary key, a match or a mapping names a column that the model does not have.",
            "A column that was renamed or dropped in the source. Nothing is sent then.",
            "Bring the column back in the model's SQL, or map another one.",
        ),
        "limit_without_order": Code(
            "configuration",
            "A warning: LIMIT without ORDER BY may return other rows each time, which look added and removed.",
            "A model that was tried out with a LIMIT.",
            "Add an ORDER BY, or take the LIMIT out.",
        ),
        "token_missing": Code(
            "configuration",
            "The destination has no token of the kind that the sync's type needs.",
            "`rest_api_token` is not set.",
            "Set it as `{env: NAME}` or `{file: PATH}`, or keep it with `headrace secret set`.",
        ),
        "setting_missing": Code(
            "configuration",
            "A source lacks a setting that its type needs.",
            "A file source without `path`, or Postgres with neither `url` nor `host`.",
            "Add the setting.",
        ),
        "setting_invalid": Code(
            "configuration",
            "A setting of a source, of a destination or of the environment makes no sense.",
            "A memory limit or a time that can't be read, an address that is no Postgres address, a secret with a line "
            "break that is to be a header.",
            "The message says what to write.",
        ),
        "not_found": Code(
            "configuration",
            "Nothing has the name that was asked for.",
            "A slip of the pen, another workspace, or a model, source or destination that is not declared.",
            "The message lists the names there are.",
        ),
        "in_use": Code(
            "configuration",
            "An object can't be deleted: another one needs it.",
            "A source that a model reads, or a model or destination of a sync.",
            "Delete first what needs it; the message names it.",
        ),
        "invalid": Code(
            "configuration",
            "The configuration has faults.",
            "More than one thing at once.",
            "Read the findings that are listed with it.",
        ),
        "name_taken": Code(
            "configuration",
            "An object of that kind has the name already.",
            "A rename onto an existing name.",
            "Choose another name, or delete the other object first.",
        ),
        "sync_id_invalid": Code(
            "configuration",
            "A sync's id can't be a file name, and its ledger is a file.",
            "An id that is empty or very long.",
            "Give the sync another `id`.",
        ),
        # Sources ---------------------------------------------------------------------------------------------------
        "source_unreachable": Code(
            "source",
            "The source can't be reached or opened.",
            "A wrong path or host, a refused password, a file that another process has locked for writing.",
            "Check the settings against the database's own words in the message.",
        ),
        "source_failed": Code(
            "source",
            "The source broke off while it was read. Nothing of what had arrived is sent.",
            "A connection that died, a CSV line that does not fit, a query that needed too much memory.",
            "Mend what the message names and run again.",
        ),
        "source_timeout": Code(
            "source",
            "The model's SQL took longer than `statement_timeout` of the source and was stopped.",
            "A slow query, or a lock in the database.",
            "Make the query faster, or raise `statement_timeout`.",
        ),
        "sql_error": Code(
            "source",
            "The database refused the model's SQL; its words and the line are in the message.",
            "A slip in the SQL, a table that does not exist, a statement that is no SELECT.",
            "Mend the SQL. A model is one SELECT.",
        ),
        # Destination -----------------------------------------------------------------------------------------------
        "credentials_refused": Code(
            "destination",
            "The destination answered 401 or 403. The run stopped at once.",
            "A token that is cut, revoked or of another region.",
            "Set the token again and try it with `headrace destinations test NAME`.",
        ),
        "destination_misconfigured": Code(
            "destination",
            "What answered is not the API that was expected: a redirect, or a list without records.",
            "A wrong address, region, subdomain or override of a host.",
            "Check `region`, `subdomain` and the `..._url` settings; for HTTP also `path`.",
        ),
        "destination_unavailable": Code(
            "destination",
            "The destination can't be reached, or keeps failing.",
            "An outage, a wrong host, a firewall.",
            "Wait and run again: what was acknowledged stays, the rest is planned again.",
        ),
        # Runs ------------------------------------------------------------------------------------------------------
        "sync_busy": Code(
            "run",
            "The sync is in use by another run or plan.",
            "A second `run` or `plan` of the same sync.",
            "Wait for it, or stop it with `headrace cancel RUN`.",
        ),
        "cancelled": Code(
            "run",
            "The run was cancelled while it waited for its turn.",
            "Somebody cancelled it.",
            "Run the sync again when ready.",
        ),
        "interrupted": Code(
            "run",
            "The comparison was stopped before anything was sent.",
            "Ctrl-C or a cancel.",
            "Run the sync again when ready.",
        ),
        "out_of_memory": Code(
            "run",
            "The comparison needs more memory than it may take, with spilling to disk.",
            "A very wide model, or a full disk.",
            "Raise HEADRACE_MEMORY_LIMIT, free disk space, or select fewer columns.",
        ),
        "run_not_held": Code(
            "run",
            "The run waits for no approval.",
            "It was approved already, or it was never held.",
            "Look at it with `headrace runs`.",
        ),
        "approval_expired": Code(
            "run",
            "The run was held more than 24 hours ago; what it found is too old to approve.",
            "A late approval.",
            "Run the sync again and approve the new run.",
        ),
        "run_ended": Code(
            "run",
            "The run has ended, so it can't be cancelled.",
            "A late cancel.",
            "Nothing to do.",
        ),
        "nothing_to_send": Code(
            "run",
            "The test row would cause no request.",
            "A removal in a sync that ignores removed rows.",
            "Set `removed: clear` or `delete`, or test another change.",
        ),
        "filter_invalid": Code(
            "run",
            "A filter of a listing can't be read.",
            "A status that is neither a number nor a class such as 4xx.",
            "Write a number, a class, or none.",
        ),
        "cursor_invalid": Code(
            "run",
            "A cursor that this list did not give out.",
            "A cursor of another list.",
            "Start again without one.",
        ),
        "bug": Code(
            "run",
            "Headrace broke a promise of its own.",
            "A mistake of ours.",
            "Report it with the message. What was acknowledged stays.",
        ),
        # The workspace ---------------------------------------------------------------------------------------------
        "workspace_missing": Code(
            "workspace",
            "There is no workspace where one was looked for.",
            "Another folder, or a project that was never applied.",
            "Run `headrace apply`, or name the place with `--workspace`.",
        ),
        "workspace_unreadable": Code(
            "workspace",
            "The workspace can't be opened.",
            "Missing rights, or a file where the folder should be.",
            "Give this user the right to read and write the folder.",
        ),
        "workspace_newer": Code(
            "workspace",
            "A newer Headrace wrote the workspace.",
            "An older program after an upgrade.",
            "Upgrade this Headrace, or restore a backup made before the upgrade.",
        ),
        "workspace_corrupt": Code(
            "workspace",
            "The workspace's database is damaged.",
            "A failing disk, or a copy made while it was written.",
            "Keep the file as it is and restore a backup.",
        ),
        "ledger_unreadable": Code(
            "workspace",
            "A sync's ledger can't be opened.",
            "A process that holds it, a failing disk, a file of a newer DuckDB.",
            "Close what holds it. If the file is damaged, restore it, or move it away and take the present rows as "
            "delivered with `run --reset-cdc`.",
        ),
        "store_write_failed": Code(
            "workspace",
            "The workspace's database could not be written.",
            "A full disk, a read-only folder, a process that holds it.",
            "Mend that and run again. What was acknowledged is kept.",
        ),
        "store_read_failed": Code(
            "workspace",
            "The workspace's database could not be read.",
            "A failing disk, or a process that blocks it.",
            "Look at the disk, and for a stuck process.",
        ),
        "secret_missing": Code(
            "workspace",
            "A secret is not where the configuration says it is.",
            "An environment variable that is not set, an empty file, a name that the workspace does not keep.",
            "Set the variable or write it into `.env` beside the configuration, or run `headrace secret set`.",
        ),
        "secret_unreadable": Code(
            "workspace",
            "A secret of the workspace can't be decrypted.",
            "The key is gone or another one, or the database was copied without it.",
            "Bring the key back, or set the secret again.",
        ),
        "key_invalid": Code(
            "workspace",
            "What should be a key of the secrets is none.",
            "HEADRACE_KEY or the key file was cut or mistyped.",
            "A key is 32 random bytes in base64 or hex: `openssl rand -base64 32`.",
        ),
        "key_exposed": Code(
            "workspace",
            "Others may read the key file, so it is not used.",
            "A copy or a restore that lost the file's mode.",
            "`chmod 600` the file; if somebody may have read it, also rotate the key and change the tokens.",
        ),
        "key_unreadable": Code(
            "workspace",
            "The key file can't be read or written.",
            "Missing rights.",
            "Give this user the right to read and write it, or restore it from your copy.",
        ),
        "key_not_new": Code(
            "workspace",
            "The first key of HEADRACE_KEY encrypts every secret already, so there is nothing to rotate to.",
            "A rotation without a new key.",
            "Put a new key before the old one, with a comma, then rotate again.",
        ),
        # The command line ------------------------------------------------------------------------------------------
        "usage": Code(
            "command",
            "A command was used wrongly.",
            "An unknown option, or options that do not go together.",
            "`headrace COMMAND --help` shows how it is used.",
        ),
        "needs_yes": Code(
            "command",
            "A command that asks first found nobody to ask.",
            "`run --full-resync` or `--reset-cdc` in a script.",
            "Say `--yes`.",
        ),
        "declined": Code(
            "command",
            "A command asked, and the answer was no. Nothing was done.",
            "A change of mind.",
            "Nothing to do.",
        ),
        "nothing_to_run": Code(
            "command",
            "The workspace has no sync.",
            "Nothing was applied yet.",
            "Run `headrace apply` on a configuration that has syncs.",
        ),
        "file_exists": Code(
            "command",
            "A file that would be written is there already and differs. Nothing was written.",
            "A second `init` or `export` into the same folder.",
            "Name another folder, move the file, or use `--force` where the command has it.",
        ),
        "file_outside": Code(
            "command",
            "A file to be exported would lie outside the folder that was named. Nothing was written.",
            "A model's `sql_file` in a folder above.",
            "Export to a folder above it.",
        ),
        "file_unwritable": Code(
            "command",
            "A file or folder can't be written.",
            "Missing rights, or a full disk.",
            "Give this user the right to write there, or name another place.",
        ),
        "folder_not_empty": Code(
            "command",
            "The folder of the demo holds things that no demo made; they stay.",
            "A folder of that name that is used for something else.",
            "Name another folder with `--dir`.",
        ),
        "port_in_use": Code(
            "command",
            "The emulator can't listen where it was told to.",
            "Another emulator, or another program, has the port.",
            "Choose another with `--port`, or stop that program.",
        ),
        "emulator_failed": Code(
            "command",
            "The demo's emulator did not start.",
            "A very busy machine.",
            "Try again; the message holds what it said.",
        ),
    }
)
