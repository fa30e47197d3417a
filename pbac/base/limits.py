"""Every bound in the system, unit last. Nothing is unbounded; a bound without a name is a bug.

Sources of the figures: `docs/reference/limits.md`.
"""

from __future__ import annotations

from typing import Final

# --- JSON at the door ---------------------------------------------------------------------
REQUEST_BODY_BYTES_MAX: Final = 4 * 1024 * 1024
RESPONSE_BODY_BYTES_MAX: Final = 16 * 1024 * 1024
JSON_DEPTH_MAX: Final = 64
# RFC 7493 2.2: beyond ±(2**53 - 1) two JSON readers may see two different integers.
JSON_INTEGER_MAX: Final = 2**53 - 1
# What an upstream answers is passed on and not decided: whatever 64 bits hold.
JSON_ANSWER_INTEGER_MAX: Final = 2**63 - 1
JSON_NUMBER_CHARACTERS_MAX: Final = 64
JSON_MEMBERS_MAX: Final = 10_000

# --- HTTP ----------------------------------------------------------------------------------
HEADER_LINE_BYTES_MAX: Final = 8 * 1024
REQUEST_BODY_SECONDS_MAX: Final = 30.0
CONNECTION_IDLE_SECONDS_MAX: Final = 75.0
# From the moment a connection is accepted until its first request head is whole.
HEADERS_SECONDS_MAX: Final = 10.0
CONNECTIONS_MAX: Final = 8_192
# Open files kept free of callers' connections: upstreams, the record, the state.
FILES_RESERVED: Final = 1_024
CALLS_IN_FLIGHT_MAX: Final = 4_096
# Fewer than the connections to one upstream, so that no agent can take them all.
CALLS_IN_FLIGHT_PER_PRINCIPAL_MAX: Final = 64
SHUTDOWN_SECONDS_MAX: Final = 10.0

# --- The policy language -------------------------------------------------------------------
POLICY_FILE_BYTES_MAX: Final = 4 * 1024 * 1024
POLICY_FILES_MAX: Final = 2_000
POLICY_DATA_BYTES_MAX: Final = 16 * 1024 * 1024
RULES_MAX: Final = 50_000
# Compiled policy sets that are kept on disk, those used last.
POLICY_CACHE_SETS_MAX: Final = 32
# Versions whose files the store keeps, those in force last; and what put versions in force.
POLICY_VERSIONS_KEPT_MAX: Final = 100
POLICY_ACTS_MAX: Final = 10_000
POLICY_NOTE_CHARACTERS_MAX: Final = 500
# Refused publications that wait to be recorded: the last ones, when no gateway runs for long.
POLICY_ATTEMPTS_MAX: Final = 1_000
POLICY_STORE_BUSY_SECONDS_MAX: Final = 5.0
# What compiling a policy set may take of time and of address space.
POLICY_COMPILE_SECONDS_MAX: Final = 120.0
POLICY_COMPILER_BYTES_MAX: Final = 4 * 1024 * 1024 * 1024
RULE_NODES_MAX: Final = 400
EXPRESSION_DEPTH_MAX: Final = 32
DEFINITION_NODES_MAX: Final = 2_000
QUANTIFIER_ITEMS_MAX: Final = 256
# `any` within `any`: what one request makes them do grows as items to the power of this.
QUANTIFIER_DEPTH_MAX: Final = 2
STRING_LITERAL_CHARACTERS_MAX: Final = 8 * 1024
PATTERN_CHARACTERS_MAX: Final = 256
AUTOMATON_STATES_MAX: Final = 500
AUTOMATON_NODES_MAX: Final = 1_000
STRINGS_MAX: Final = 1_024
# What operators look at; a longer text or list is unknown to them.
TEXT_OPERAND_CHARACTERS_MAX: Final = 64 * 1024
LIST_OPERAND_ITEMS_MAX: Final = 10_000
# What one call may make the rules about its tool do, counted at load (`lang/check/cost.py`).
EVALUATION_STEPS_MAX: Final = 50_000_000
TEXT_CHARACTERS_MAX: Final = 1_024
TEXT_VALUE_CHARACTERS_MAX: Final = 200
# Shown at once to people; what is written for machines holds more.
DIAGNOSTICS_MAX: Final = 100
DIAGNOSTICS_FILED_MAX: Final = 5_000
SYNTAX_ERRORS_MAX: Final = 20
# From the item that a mistake is in; in a longer one what was meant is not read on.
REPAIRED_CHARACTERS_MAX: Final = 32 * 1024
RENDERED_LINE_COLUMNS_MAX: Final = 160
DEFINITIONS_MAX: Final = 5_000
TESTS_MAX: Final = 10_000
TEST_STEPS_MAX: Final = 1_000
TIERS_MAX: Final = 64
# By `on server` of a package.
SERVERS_NAMED_MAX: Final = 256
# Other rules that lint compares one rule with, of those its index finds.
LINT_RIVALS_MAX: Final = 16
# Names that tests ask about and lint tries on the patterns of one rule.
LINT_TRIED_NAMES_MAX: Final = 256
EXPIRES_SOON_DAYS: Final = 30
CASE_FILE_BYTES_MAX: Final = 1024 * 1024
CASE_FILES_MAX: Final = 200

# --- Policy bundles ------------------------------------------------------------------------
BUNDLE_BYTES_MAX: Final = 64 * 1024 * 1024
BUNDLE_NUMBER_MAX: Final = JSON_INTEGER_MAX
BUNDLE_NAME_CHARACTERS_MAX: Final = 64
BUNDLE_PATH_CHARACTERS_MAX: Final = 1_024
JWS_HEADER_CHARACTERS_MAX: Final = 1_024

# What the checker learns from one schema; below and beyond, values are of any kind.
SCHEMA_KIND_DEPTH_MAX: Final = 32
SCHEMA_KIND_PARTS_MAX: Final = 5_000

# Answers of the index that are kept, by (server, tool): callers choose tool names.
INDEX_KEYS_MAX: Final = 10_000
# Decisions that are kept for rules that applied together, by index key.
ANSWERS_KEPT_MAX: Final = 16
# Names of rules in all decisions that are kept beyond that.
ANSWER_NAMES_KEPT_MAX: Final = 1_000_000
# Shapes of rules that are compiled to one function.
PLAN_SHAPES_MAX: Final = 64
# Hours for which a time zone remembers its offset.
ZONE_HOURS_KEPT_MAX: Final = 1_024
NEAR_MISSES_MAX: Final = 3
# What one explanation tries: requests decided, conditions tested to find them, ways to one rule,
# and values of one field.
NEAR_MISS_TRIES_MAX: Final = 64
NEAR_MISS_TESTS_MAX: Final = 5_000
NEAR_MISS_WAYS_MAX: Final = 16
NEAR_MISS_PLACE_VALUES_MAX: Final = 256
EXPLAINED_VALUE_CHARACTERS_MAX: Final = 60

# --- MCP -----------------------------------------------------------------------------------
BATCH_MESSAGES_MAX: Final = 32
METHOD_CHARACTERS_MAX: Final = 128
LEGACY_SESSIONS_MAX: Final = 10_000
LEGACY_SESSIONS_PER_PRINCIPAL_MAX: Final = 100
LEGACY_SESSION_IDLE_SECONDS_MAX: Final = 3_600.0
TOOL_NAME_CHARACTERS_MAX: Final = 128
TOOLS_PER_BACKEND_MAX: Final = 2_000
TOOL_PAGES_MAX: Final = 100
TOOL_DEFINITION_BYTES_MAX: Final = 256 * 1024
# `pbac tools import`: a document or a saved answer, and how long a server may take.
TOOL_SOURCE_BYTES_MAX: Final = 32 * 1024 * 1024
TOOL_IMPORT_SECONDS_MAX: Final = 60.0
# A schema with its references written out: what one validation may have to look at.
SCHEMA_NODES_MAX: Final = 20_000
SCHEMA_DEPTH_MAX: Final = 128
CURSOR_CHARACTERS_MAX: Final = 4 * 1024
REQUEST_ID_CHARACTERS_MAX: Final = 256

# --- Other enforcement points --------------------------------------------------------------
EVALUATIONS_MAX: Final = 100

# --- Upstreams -----------------------------------------------------------------------------
UPSTREAM_CONNECT_SECONDS_MAX: Final = 5.0
UPSTREAM_CALL_SECONDS_MAX: Final = 120.0
UPSTREAM_CONNECTIONS_MAX: Final = 256
UPSTREAM_SESSIONS_MAX: Final = 1_000
UPSTREAM_CALLS_IN_FLIGHT_MAX: Final = 1_024
UPSTREAM_PROBE_SECONDS_MAX: Final = 5.0
# Below the five seconds after which uvicorn and Node close an idle connection: a POST sent into
# that close is lost without anyone knowing whether it ran.
UPSTREAM_KEEPALIVE_SECONDS_MAX: Final = 4.0
# Header lines of one answer with its trailers, and bytes on end that bring no byte of a body.
UPSTREAM_HEADERS_BYTES_MAX: Final = 32 * 1024
# What is read ahead of a slow reader before the upstream is made to wait.
UPSTREAM_READ_AHEAD_BYTES_MAX: Final = 256 * 1024
# The end of an event stream behind its answer, read so that the connection can be used again.
UPSTREAM_DRAIN_SECONDS_MAX: Final = 0.25
UPSTREAM_DRAIN_BYTES_MAX: Final = 16 * 1024
UPSTREAM_INTERIM_ANSWERS_MAX: Final = 16
UPSTREAM_RESTART_SECONDS_MAX: Final = 30.0
UPSTREAM_NOTIFICATIONS_QUEUED_MAX: Final = 256
UPSTREAM_PEER_REQUESTS_MAX: Final = 64
STDIO_LINE_BYTES_MAX: Final = 16 * 1024 * 1024
STDIO_STOP_SECONDS_MAX: Final = 3.0
SSE_EVENT_BYTES_MAX: Final = 16 * 1024 * 1024

# --- Identity ------------------------------------------------------------------------------
JWT_CHARACTERS_MAX: Final = 16 * 1024
JWT_LIFETIME_SECONDS_MAX: Final = 400 * 24 * 3_600
CLIENT_ASSERTION_LIFETIME_SECONDS_MAX: Final = 600
CLOCK_SKEW_SECONDS_MAX: Final = 30
ACCESS_TOKEN_SECONDS: Final = 3_600
CLIENTS_MAX: Final = 100_000
SCOPES_PER_REQUEST_MAX: Final = 2_000
SCOPE_CHARACTERS_MAX: Final = 200
OAUTH_BODY_BYTES_MAX: Final = 64 * 1024
IDENTIFIER_CHARACTERS_MAX: Final = 200
PRINCIPALS_CACHED_MAX: Final = 10_000
USED_IDS_MAX: Final = 1_000_000
KEYS_PER_SET_MAX: Final = 16
RSA_KEY_BITS_MIN: Final = 2_048
RSA_KEY_BITS_MAX: Final = 8_192
RSA_PUBLIC_EXPONENT_BITS_MAX: Final = 33
ACCESS_TOKENS_PER_CLIENT_MAX: Final = 1_000
FORM_FIELDS_MAX: Final = 50
TAGS_MAX: Final = 50
INTROSPECTION_MISSES_PER_MINUTE_MAX: Final = 600
STORAGE_BUSY_SECONDS_MAX: Final = 5.0
STORAGE_READ_BUSY_SECONDS_MAX: Final = 0.25
EXPIRED_ROWS_DELETED_PER_WRITE_MAX: Final = 64

# --- Audit ---------------------------------------------------------------------------------
AUDIT_RECORD_BYTES_MAX: Final = 256 * 1024
AUDIT_QUEUE_RECORDS_MAX: Final = 10_000
AUDIT_SEGMENT_BYTES_MAX: Final = 256 * 1024 * 1024
AUDIT_COMMIT_SECONDS_MAX: Final = 5.0
AUDIT_CHECKPOINT_SECONDS: Final = 1.0
AUDIT_BATCH_RECORDS_MAX: Final = 1_000
AUDIT_STRING_CHARACTERS_MAX: Final = 4 * 1024
AUDIT_ITEMS_MAX: Final = 256
AUDIT_PROBLEMS_MAX: Final = 100
AUDIT_FLIP_SEARCH_BYTES_MAX: Final = 4 * 1024
AUDIT_TAIL_RECORDS_MAX: Final = 100_000

# --- Duties --------------------------------------------------------------------------------
QUOTA_BUCKETS_MAX: Final = 100_000
QUOTA_CALLS_MAX: Final = 100_000
APPROVALS_MAX: Final = 16
REDACTION_CHARACTERS_MAX: Final = 1_000_000
REDACTION_PATTERNS_CACHED_MAX: Final = 256
