"""The storage contract: alone, durable before acknowledged, seen at once, and never half done."""

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from pbac.adapters import sqlite_rows, sqlite_state
from pbac.adapters.sqlite_migrations import MIGRATIONS, Migration, migrate
from pbac.adapters.sqlite_state import EPOCH_NAME, FILE_NAME, open_state
from pbac.oauth.access_token import hash_access_token, new_access_token
from pbac.oauth.client_metadata import skeleton
from pbac.oauth.errors import OAuthError
from pbac.oauth.model import AccessToken, Client, SpentId
from pbac.oauth.registration import check, prepare_by_operator, register
from pbac.oauth.storage import StorageError
from pbac.oauth.token import store_token

NOW_MS = 1_800_000_000_000


def client(client_id="agent_1", **changes):
    fields = {
        "client_id": client_id,
        "client_name": f"Agent {client_id}",
        "tier": "read_only",
        "tier_source": "statement",
        "scopes": ("a:read", "a:write"),
        "grant_types": ("client_credentials",),
        "auth_method": "private_key_jwt",
        "jwks": ({"kty": "OKP", "x": "…"},),
        "tags": ("nightly", "a b"),
        "publisher": "acme",
        "registered_at_ms": NOW_MS,
    }
    return Client(**{**fields, **changes})


def access_token(token_hash=bytes(32), client_id="agent_1", **changes):
    fields = {
        "token_hash": token_hash,
        "client_id": client_id,
        "grant_type": "client_credentials",
        "scopes": ("a:read",),
        "audience": "https://gw.example/mcp",
        "issued_at_ms": NOW_MS,
        "expires_at_ms": NOW_MS + 3_600_000,
    }
    return AccessToken(**{**fields, **changes})


@pytest.fixture
def state(tmp_path):
    opened = open_state(tmp_path / "state", NOW_MS)
    yield opened
    opened.close()


async def fill(state):
    def rule(tx):
        tx.insert_client(client())
        tx.insert_access_token(access_token())

    await state.transact(rule)


async def test_values_come_back_as_they_were_stored(state):
    await fill(state)
    record = state.find_principal_record(bytes(32))
    assert (record.client, record.access_token) == (client(), access_token())
    assert state.read(lambda reader: reader.find_client("agent_1")) == client()
    assert state.read(lambda reader: reader.list_clients()) == [client()]
    bare = client("agent_2", secret_hash=bytes(32), jwks=(), publisher=None, tags=())
    await state.transact(lambda tx: tx.insert_client(bare))
    assert state.read(lambda reader: reader.find_client("agent_2")) == bare


async def test_odd_client_ids_are_unknown_not_errors(state):
    for odd in ("\ud800", "a" * 100_000, "a\0b", "", "' OR 1=1 --", "é"):
        assert state.read(lambda reader, odd=odd: reader.find_client(odd)) is None


async def test_a_rule_that_raises_leaves_nothing_behind(state):
    def rule(tx):
        tx.insert_client(client())
        raise OAuthError("invalid_request")

    with pytest.raises(OAuthError):
        await state.transact(rule)
    assert state.read(lambda reader: reader.count_clients()) == 0
    await fill(state)


async def test_a_token_needs_its_client(state):
    with pytest.raises(StorageError):
        await state.transact(lambda tx: tx.insert_access_token(access_token()))


async def test_revocation_is_seen_by_the_very_next_read(state):
    await fill(state)
    assert state.find_principal_record(bytes(32)).access_token.revoked_at_ms is None
    await state.transact(lambda tx: tx.revoke_access_token(bytes(32), NOW_MS + 5))
    assert state.find_principal_record(bytes(32)).access_token.revoked_at_ms == NOW_MS + 5
    await state.transact(lambda tx: tx.revoke_access_token(bytes(32), NOW_MS + 9))
    assert state.find_principal_record(bytes(32)).access_token.revoked_at_ms == NOW_MS + 5


def test_what_another_process_writes_is_seen_by_the_very_next_read(state, tmp_path):
    asyncio.run(fill(state))
    assert state.find_principal_record(bytes(32)).client.status == "active"
    code = """
        import sys, msgspec
        from pathlib import Path
        from pbac.adapters.sqlite_state import open_state
        other = open_state(Path(sys.argv[1]), 0)
        def suspend(tx):
            tx.replace_client(msgspec.structs.replace(tx.find_client("agent_1"), status="suspended"))
        other.transact_now(suspend)
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "state")], check=True
    )
    assert state.find_principal_record(bytes(32)).client.status == "suspended"


async def test_the_cache_is_used_bounded_and_never_holds_unknown_tokens(state, monkeypatch):
    await fill(state)
    assert state.find_principal_record(bytes(32)) is state.find_principal_record(bytes(32))
    for n in range(50):
        assert state.find_principal_record(os.urandom(31) + bytes([n])) is None
    assert len(state._cache) == 1
    monkeypatch.setattr(sqlite_state, "PRINCIPALS_CACHED_MAX", 2)

    def more(tx):
        for n in range(1, 6):
            tx.insert_access_token(access_token(bytes([n]) * 32))

    await state.transact(more)
    for n in range(1, 6):
        assert state.find_principal_record(bytes([n]) * 32) is not None
    assert len(state._cache) == 2


async def test_a_single_use_id_is_spent_exactly_once_by_racing_callers(state):
    used = SpentId("client:agent_1", "jti", NOW_MS + 1000)
    won = await asyncio.gather(
        *(state.transact(lambda tx: tx.spend_id(used, NOW_MS)) for _ in range(100))
    )
    assert won.count(True) == 1
    assert state.read(lambda reader: reader.is_spent(used))
    twin = SpentId("client:agent_2", "jti", NOW_MS + 1000)
    assert await state.transact(lambda tx: tx.spend_id(twin, NOW_MS))


def test_a_single_use_id_is_spent_exactly_once_by_racing_processes(state, tmp_path):
    used = SpentId("client:agent_1", "jti", NOW_MS + 1000)
    others = [open_state(tmp_path / "state", NOW_MS) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        spend = [
            pool.submit(other.transact_now, lambda tx: tx.spend_id(used, NOW_MS))
            for other in others
        ]
        assert sorted(done.result() for done in spend) == [False, False, False, True]
    for other in others:
        other.close()


def test_what_a_rule_has_read_is_still_true_when_it_writes(state, tmp_path):
    state.transact_now(lambda tx: tx.insert_client(client(tier="0")))

    def promote(tx):
        now = tx.find_client("agent_1")
        tx.replace_client(msgspec.structs.replace(now, tier=str(int(now.tier) + 1)))

    def promote_often(other):
        for _ in range(25):
            other.transact_now(promote)

    others = [open_state(tmp_path / "state", NOW_MS) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(promote_often, others))
    assert state.read(lambda reader: reader.find_client("agent_1")).tier == "100"
    for other in others:
        other.close()


async def test_used_ids_are_bounded_and_forgotten_only_after_they_expired(state, monkeypatch):
    monkeypatch.setattr(sqlite_rows, "USED_IDS_MAX", 3)

    async def spend(name, expires, now):
        return await state.transact(lambda tx: tx.spend_id(SpentId("i", name, expires), now))

    assert await spend("long", NOW_MS + 10**9, NOW_MS)
    for n in range(20):  # short-lived ones come and go past the long-lived one
        assert await spend(f"short{n}", NOW_MS + 2 * n + 3, NOW_MS + 2 * n)
    assert not await spend("long", NOW_MS + 10**9, NOW_MS + 50)
    assert await spend("x", NOW_MS + 10**6, NOW_MS + 50)
    assert await spend("y", NOW_MS + 10**6, NOW_MS + 50)
    with pytest.raises(StorageError, match="no more single-use"):
        await spend("z", NOW_MS + 10**6, NOW_MS + 50)


async def test_expired_tokens_leave_as_new_ones_come(state):
    await fill(state)
    later = NOW_MS + 10**8
    await state.transact(
        lambda tx: tx.insert_access_token(access_token(b"n" * 32, issued_at_ms=later))
    )
    assert state.read(lambda reader: reader.find_access_token(bytes(32))) is None


async def test_a_token_is_not_stored_for_an_agent_changed_since_it_was_decided(state):
    await fill(state)
    before = client()
    for status, code in (("suspended", "unauthorized_client"), ("active", None)):
        changed = msgspec.structs.replace(before, status=status)
        await state.transact(lambda tx, changed=changed: tx.replace_client(changed))
        if code:
            with pytest.raises(OAuthError) as caught:
                await state.transact(lambda tx: store_token(tx, before, access_token(b"n" * 32)))
            assert caught.value.code == code
    promoted = msgspec.structs.replace(before, tier="trusted")
    await state.transact(lambda tx: tx.replace_client(promoted))
    with pytest.raises(OAuthError) as caught:
        await state.transact(lambda tx: store_token(tx, before, access_token(b"n" * 32)))
    assert caught.value.code == "temporarily_unavailable"
    await state.transact(lambda tx: store_token(tx, promoted, access_token(b"n" * 32)))


async def test_live_tokens_of_one_agent_are_bounded(state, monkeypatch):
    monkeypatch.setattr("pbac.oauth.token.ACCESS_TOKENS_PER_CLIENT_MAX", 2)
    await fill(state)
    await state.transact(lambda tx: store_token(tx, client(), access_token(b"1" * 32)))
    with pytest.raises(OAuthError) as caught:
        await state.transact(lambda tx: store_token(tx, client(), access_token(b"2" * 32)))
    assert caught.value.wire.status == 429


# --- names -------------------------------------------------------------------------------------


async def test_a_name_that_reads_like_another_agents_is_taken(state):
    def draft(name):
        return prepare_by_operator(name=name, tier="t", scopes=["a"], now_ms=1, entropy=os.urandom)

    first = draft("Claude 10")
    await state.transact(lambda tx: register(tx, first, NOW_MS))
    for twin in ("claude 10", "CLAUDE-1O", "Clàude l0", "C1aude 10", "Claude10"):
        with pytest.raises(OAuthError):
            state.read(lambda reader, twin=twin: check(reader, draft(twin)))
        with pytest.raises(OAuthError):
            await state.transact(lambda tx, twin=twin: register(tx, draft(twin), NOW_MS))
    await state.transact(lambda tx: register(tx, draft("Claude 11"), NOW_MS))
    assert skeleton("Claude 10") == skeleton("c1audel0")
    assert skeleton("Søren's Barn") == skeleton("Sorens Bam")
    assert skeleton("Łódź") == skeleton("Lodz")


async def test_instances_of_one_software_share_its_name(state):
    def draft(publisher, software_id):
        made = prepare_by_operator(
            name="Reviewer", tier="t", scopes=["a"], now_ms=1, entropy=os.urandom
        )
        stated = msgspec.structs.replace(made.client, publisher=publisher, software_id=software_id)
        return msgspec.structs.replace(made, client=stated)

    await state.transact(lambda tx: register(tx, draft("acme", "s"), NOW_MS))
    await state.transact(lambda tx: register(tx, draft("acme", "s"), NOW_MS))
    for publisher, software_id in (("acme", "t"), ("other", "s"), (None, None)):
        with pytest.raises(OAuthError):
            await state.transact(
                lambda tx, p=publisher, s=software_id: register(tx, draft(p, s), NOW_MS)
            )


# --- the file ----------------------------------------------------------------------------------


def test_the_file_is_private_even_if_it_was_not(tmp_path):
    folder = tmp_path / "state"
    opened = open_state(folder, NOW_MS)
    opened.transact_now(lambda tx: tx.insert_client(client()))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name
    opened.close()
    (folder / FILE_NAME).chmod(0o644)
    open_state(folder, NOW_MS).close()
    assert stat.S_IMODE((folder / FILE_NAME).stat().st_mode) == 0o600


def test_no_token_or_secret_is_in_any_file(tmp_path):
    opened = open_state(tmp_path, NOW_MS)
    text = new_access_token(os.urandom)
    draft = prepare_by_operator(name="canary", tier="t", scopes=["a"], now_ms=1, entropy=os.urandom)

    def rule(tx):
        register(tx, draft, NOW_MS)
        token_hash = hash_access_token(text)
        tx.insert_access_token(access_token(token_hash, draft.client.client_id))

    opened.transact_now(rule)
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    opened.close()
    content += b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"canary" in content
    for secret in (text, text[8:30], draft.secret, draft.secret[8:30]):
        assert secret.encode() not in content


def test_commits_reach_the_disk_before_they_are_acknowledged(state):
    assert state._writer.execute("PRAGMA synchronous").fetchone() == (2,)
    assert state._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert state._writer.execute("PRAGMA foreign_keys").fetchone() == (1,)
    assert state._reader.execute("PRAGMA query_only").fetchone() == (1,)


def test_nothing_acknowledged_is_lost_when_the_writer_is_killed(tmp_path):
    code = """
        import asyncio, sys
        from pathlib import Path
        from pbac.adapters.sqlite_state import open_state
        from pbac.oauth.model import SpentId
        async def main():
            state = open_state(Path(sys.argv[1]), 0)
            for n in range(10**9):
                await state.transact(lambda tx: tx.spend_id(SpentId("i", str(n), 10**15), 1))
                print(n, flush=True)
        asyncio.run(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    for _ in range(3):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            acknowledged = [int(child.stdout.readline()) for _ in range(30)]
            child.send_signal(signal.SIGKILL)
            acknowledged += [int(line) for line in child.stdout.read().split()]
        state = open_state(tmp_path, NOW_MS)
        for n in acknowledged:
            assert state.read(lambda reader, n=n: reader.is_spent(SpentId("i", str(n), 0)))
        state.close()


async def test_a_full_disk_refuses_and_the_next_write_works(state):
    await fill(state)
    (pages,) = state._writer.execute("PRAGMA page_count").fetchone()
    state._writer.execute(f"PRAGMA max_page_count = {pages}")

    def large(tx):
        for n in range(200):
            tx.insert_client(client(f"agent_{n + 10}"))

    with pytest.raises(StorageError):
        await state.transact(large)
    state._writer.execute("PRAGMA max_page_count = 1000000")
    assert state.read(lambda reader: reader.count_clients()) == 1
    await state.transact(large)


async def test_a_store_that_cannot_be_asked_does_not_answer_from_memory_for_long(state):
    await fill(state)
    assert state.find_principal_record(bytes(32)) is not None
    state._reader.close()
    # Nothing can be revoked while nothing can be written, so a fresh answer may still stand.
    state._cache_until = 0.0
    with pytest.raises(StorageError):
        state.find_principal_record(bytes(32))
    with pytest.raises(StorageError):
        state.read(lambda reader: reader.count_clients())


@pytest.mark.parametrize("name", [FILE_NAME, f"{FILE_NAME}-wal", EPOCH_NAME])
@pytest.mark.parametrize("replaced", [True, False])
async def test_a_store_that_was_moved_away_acknowledges_and_remembers_nothing(
    state, tmp_path, monkeypatch, name, replaced
):
    await fill(state)
    monkeypatch.setattr(sqlite_state, "CACHE_SECONDS_MAX", 0.0)
    assert state.find_principal_record(bytes(32))
    path, aside = tmp_path / "state" / name, tmp_path / "aside"
    path.rename(aside)
    if replaced:
        path.write_bytes(aside.read_bytes())
    with pytest.raises(StorageError, match="not the file that was opened"):
        await state.transact(lambda tx: tx.revoke_access_token(bytes(32), NOW_MS))
    with pytest.raises(StorageError):
        state.find_principal_record(bytes(32))
    aside.replace(path)
    await state.transact(lambda tx: tx.revoke_access_token(bytes(32), NOW_MS))
    assert state.find_principal_record(bytes(32)).access_token.revoked_at_ms == NOW_MS


def test_a_file_that_is_no_database_is_a_clear_error(tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b"not a database, " * 1000)
    with pytest.raises(StorageError, match="state database failed"):
        open_state(tmp_path, NOW_MS)
    with pytest.raises(StorageError, match="cannot be opened"):
        open_state(tmp_path / FILE_NAME / "below", NOW_MS)


def test_a_copy_made_while_it_is_written_is_a_whole_database(state, tmp_path):
    state.transact_now(lambda tx: tx.insert_client(client()))
    with sqlite3.connect(tmp_path / "copy.sqlite3") as copy:
        state._reader.backup(copy)
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert copy.execute("SELECT count(*) FROM clients").fetchone() == (1,)
    copy.close()


# --- migrations --------------------------------------------------------------------------------


def migrated(migrations, connection=None):
    connection = connection or sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, NOW_MS, migrations)
    return connection


def test_migrations_are_numbered_from_one_without_gaps():
    assert [step.version for step in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))


def test_a_database_of_schema_1_is_brought_forward_and_keeps_its_rows():
    connection = migrated(MIGRATIONS[:1])
    connection.execute("INSERT INTO used_ids VALUES ('i', 'kept', 1)")
    step = Migration(len(MIGRATIONS) + 1, "more", ("ALTER TABLE used_ids ADD COLUMN note TEXT",))
    migrated((*MIGRATIONS, step), connection)
    assert connection.execute("SELECT id, note FROM used_ids").fetchall() == [("kept", None)]
    migrated((*MIGRATIONS, step), connection)
    connection.close()


def test_a_state_that_version_1_wrote_is_opened_and_keeps_its_agents(tmp_path):
    connection = migrated(
        MIGRATIONS[:1], sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    )
    sqlite_rows.SqliteTransaction(connection).insert_client(client())
    connection.close()
    opened = open_state(tmp_path, NOW_MS)
    assert opened.read(lambda reader: reader.list_clients()) == [client()]
    assert opened.read(lambda reader: reader.find_oldest_change()) is None
    opened.close()


def test_a_newer_or_foreign_database_is_refused():
    step = Migration(len(MIGRATIONS) + 1, "from the future", ("CREATE TABLE f (x) STRICT",))
    step = step._replace(statements=("CREATE TABLE future (x INTEGER) STRICT",))
    connection = migrated((*MIGRATIONS, step))
    with pytest.raises(StorageError) as caught:
        migrated(MIGRATIONS, connection)
    assert caught.value.code == "schema_too_new"
    foreign = (MIGRATIONS[0]._replace(name="something else"), *MIGRATIONS[1:])
    with pytest.raises(StorageError) as caught:
        migrated(foreign, migrated(MIGRATIONS))
    assert caught.value.code == "schema_unknown"


def test_a_migration_that_fails_changes_nothing():
    broken = Migration(len(MIGRATIONS) + 1, "broken", ("CREATE TABLE t (x INTEGER)", "NONSENSE"))
    connection = migrated(MIGRATIONS)
    with pytest.raises(sqlite3.OperationalError):
        migrated((*MIGRATIONS, broken), connection)
    assert connection.execute("SELECT 1 FROM sqlite_master WHERE name = 't'").fetchone() is None
    connection.close()
