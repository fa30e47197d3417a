"""The child that compiles: what it says, how it ends, and that nothing it does ends the parent."""

from __future__ import annotations

import asyncio
import io
import os
import resource
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from support.policy_home import Home, permits, policy

from pbac.adapters import policy_compiler
from pbac.adapters.policy_build import Built
from pbac.adapters.policy_cache import open_policy_cache
from pbac.adapters.policy_compiler import NICENESS, Order, PolicyCompiler
from pbac.adapters.policy_source import PolicySource

LENGTH = struct.Struct(">I")
GOOD = {"good.pbac": policy("get_*")}
WIDER = {"good.pbac": policy("get_*", "put_*")}


@pytest.fixture
def home(tmp_path):
    found = Home(tmp_path)
    found.write(GOOD)
    found.state.mkdir()
    return found


@pytest.fixture
async def compiler(home):
    found = PolicyCompiler(home.state)
    yield found
    await found.close()


def of_folder(home, **more):
    return Order(source=PolicySource(path=str(home.folder)), **more)


def message(order):
    data = msgspec.msgpack.encode(order)
    return LENGTH.pack(len(data)) + data


def answers_in(data):
    found = []
    while data:
        (size,) = LENGTH.unpack(data[:4])
        found.append(msgspec.msgpack.decode(data[4 : 4 + size], type=Built))
        data = data[4 + size :]
    return found


def child(home, *, code="", data=b""):
    """(exit code, answers, other output) of a child that is given all this at once."""
    program = (
        f"{code}\nimport sys\nfrom pbac.adapters.policy_compiler import main\nmain(sys.argv[1:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, home.state], input=data, capture_output=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


# --- what it says -------------------------------------------------------------------------------


async def test_an_order_is_answered_by_a_version_that_is_kept_and_compiled(home, compiler):
    built = await compiler.build(of_folder(home))
    store = home.store()
    assert store.find_version(built.version.version) == built.version
    assert store.files(built.version.version) == {"good.pbac": GOOD["good.pbac"].encode()}
    assert store.head() is None, "what is in force is not for the compiler to say"
    store.close()
    found = open_policy_cache(home.state).find(built.version.version)
    assert permits(found, "get_x")
    again = await compiler.build(Order(version=built.version.version))
    assert again == built


ORDERS = {
    "a mistake": (lambda home: home.write({"bad.pbac": "package bad\npermit\n"}), "bad.pbac:2"),
    "no folder": (lambda home: home.folder.rename(home.directory / "x"), "no-policies"),
    "not UTF-8": (lambda home: (home.folder / "b.pbac").write_bytes(b"\xff"), "not-utf-8"),
    "a failing test": (
        lambda home: home.write({"good.pbac": policy("a", more='test "t"\n  call a => deny\n')}),
        "test-failed",
    ),
}


async def test_what_is_wrong_is_told_and_the_next_order_is_answered(home, compiler):
    for name, (spoil, told) in ORDERS.items():
        spoil(home)
        built = await compiler.build(of_folder(home))
        assert built.version is None, name
        assert any(told in line for line in built.problems), (name, built.problems)
        assert built.text
        if not home.folder.exists():
            (home.directory / "x").rename(home.folder)
        for path in home.folder.iterdir():
            path.unlink()
        home.write(GOOD)
    assert (await compiler.build(of_folder(home, sealed=("good",)))).version is None
    unknown = await compiler.build(Order(version="sha256:" + "0" * 64))
    assert "(version_unknown)" in unknown.problems[0]
    unsigned = PolicySource(path=str(home.directory / "x.pbacb"), bundle="x")
    assert (await compiler.build(Order(source=unsigned))).problems
    assert (await compiler.build(of_folder(home))).version


async def test_orders_are_answered_in_turn_each_with_its_own_answer(home, compiler):
    others = []
    for number in range(6):
        other = Home(home.directory / str(number))
        other.write({"good.pbac": policy(f"get_{number}")})
        others.append(other)
    found = await asyncio.gather(*(compiler.build(of_folder(each)) for each in others))
    assert [b.version.version for b in found] == [
        other.build({"good.pbac": policy(f"get_{n}")}).version.version
        for n, other in enumerate(others)
    ]


def test_it_ends_when_nothing_more_is_asked(home):
    code, out, _ = child(home)
    assert (code, out) == (0, b"")
    code, out, _ = child(home, data=message(of_folder(home)) * 2)
    assert code == 0
    first, second = answers_in(out)
    assert first == second
    assert first.version


def test_an_order_that_is_cut_is_not_carried_out(home):
    whole = message(of_folder(home))
    for size in range(len(whole)):
        found = policy_compiler._receive(io.BytesIO(whole[:size]))
        if found is not None:
            with pytest.raises(msgspec.DecodeError):
                msgspec.msgpack.decode(found, type=Order)
    assert child(home, data=whole[:-1])[1] == b""


NOISE = """
import os, sys
from pbac.adapters import policy_build
build = policy_build.publication_of
def noisy(*arguments, **named):
    print("noise" * 1_000, flush=True)
    os.write(1, b"\\x00\\x00\\x00\\x01noise")
    os.system("echo noise of a program")
    sys.stdout.write("at the end")
    return build(*arguments, **named)
policy_build.publication_of = noisy
"""


def test_whatever_prints_does_not_get_into_the_answers(home):
    code, out, err = child(home, code=NOISE, data=message(of_folder(home)) * 2)
    assert code == 0
    assert [bool(each.version) for each in answers_in(out)] == [True, True]
    assert err.count(b"noise of a program") == 2


DEFECT = """
from pbac.adapters import policy_build
build, calls = policy_build.publication_of, []
def fails(*arguments, **named):
    calls.append(1)
    if len(calls) == 1:
        raise RuntimeError("boom")
    return build(*arguments, **named)
policy_build.publication_of = fails
"""


def test_a_defect_is_told_as_one_and_the_next_order_is_answered(home):
    code, out, _ = child(home, code=DEFECT, data=message(of_folder(home)) * 2)
    assert code == 0
    broken, sound = answers_in(out)
    assert broken.version is None
    assert "a defect of this program, not of the policies: `RuntimeError: boom`" in broken.text
    assert "(compiler-fault)" in broken.problems[0]
    assert sound.version


LOCKED = """
from pbac.adapters import policy_store
def locked(*arguments):
    raise policy_store.PolicyStoreError("`policies.sqlite3` cannot be used: database is locked")
policy_store.PolicyStore.keep = locked
"""


def test_a_store_that_cannot_be_written_is_no_defect(home):
    _, out, _ = child(home, code=LOCKED, data=message(of_folder(home)))
    (built,) = answers_in(out)
    assert built.version is None
    assert "database is locked" in built.problems[0]
    assert built.again
    assert "defect" not in built.text


# --- its bounds ---------------------------------------------------------------------------------


async def test_it_has_bounds_of_memory_and_stands_back(home, compiler):
    await compiler.build(of_folder(home))
    process = compiler.process()
    soft, _ = resource.prlimit(process, resource.RLIMIT_AS)
    assert soft == policy_compiler.POLICY_COMPILER_BYTES_MAX
    assert os.getpriority(os.PRIO_PROCESS, process) == min(
        os.getpriority(os.PRIO_PROCESS, 0) + NICENESS, 19
    )


def allow_bytes_more(process, size):
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[0])
    bound = pages * resource.getpagesize() + size
    resource.prlimit(process, resource.RLIMIT_AS, (bound, bound))


async def test_what_takes_too_much_memory_is_named_or_tried_by_another(home, compiler):
    await compiler.build(of_folder(home))
    process = compiler.process()
    allow_bytes_more(process, 12_000_000)
    wide = "".join(f"permit p{n}\n  on tool t{n}\n  when args.a == {n}\n" for n in range(4_000))
    home.write({"large.pbac": f"package large on server git\n{wide}"})
    built = await compiler.build(of_folder(home))
    # Python notices, or ends: then another child, which has the memory, has done it.
    assert built.version or "(compiler-memory)" in built.problems[0]
    (home.folder / "large.pbac").unlink()
    for _ in range(2):  # what is left of memory may not do for the first
        built = await compiler.build(of_folder(home))
    assert built.version


@pytest.fixture
def stopped(monkeypatch):
    """A child that was stopped is in the middle of its order for as long as we like."""

    def stop(compiler, seconds=60.0):
        monkeypatch.setattr(policy_compiler, "POLICY_COMPILE_SECONDS_MAX", seconds)
        os.kill(compiler.process(), signal.SIGSTOP)
        return compiler.process()

    yield stop
    monkeypatch.undo()


def runs(process):
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def test_who_takes_too_long_is_ended_and_refused_and_the_next_is_served(
    home, compiler, stopped, monkeypatch
):
    await compiler.build(of_folder(home))
    process = stopped(compiler, 0.2)
    started = time.monotonic()
    built = await compiler.build(of_folder(home))
    assert time.monotonic() - started < 5
    assert "compiling took longer than" in built.problems[0]
    assert "(compiler-ended)" in built.problems[0]
    assert "split the policies" in built.text
    assert not runs(process)
    monkeypatch.undo()
    assert (await compiler.build(of_folder(home))).version


async def test_an_order_that_nobody_waits_for_any_more_answers_nobody_else(home, compiler, stopped):
    await compiler.build(of_folder(home))
    process = stopped(compiler)
    given_up = asyncio.create_task(compiler.build(of_folder(home)))
    await asyncio.sleep(0.1)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    if runs(process):
        os.kill(process, signal.SIGCONT)
    other = Home(home.directory / "other")
    other.write(WIDER)
    built = await compiler.build(of_folder(other))
    assert built.version.version == other.build(WIDER).version.version


async def test_closing_ends_it_whatever_it_does(home, compiler, stopped):
    await compiler.build(of_folder(home))
    process = stopped(compiler)
    await asyncio.wait_for(compiler.close(), 5)
    assert not runs(process)
    await compiler.close()


async def test_an_interrupt_from_the_terminal_is_for_the_gateway(home, compiler, capfd):
    await compiler.build(of_folder(home))
    process = compiler.process()
    os.kill(process, signal.SIGINT)
    home.write(WIDER)
    assert (await compiler.build(of_folder(home))).version
    assert compiler.process() == process
    await compiler.close()
    assert "Traceback" not in capfd.readouterr().err


async def test_no_module_comes_from_where_the_gateway_was_started(home, monkeypatch):
    """Whoever may write policies there must not choose what runs."""
    monkeypatch.chdir(home.folder)
    for name in ("msgspec", "struct", "sqlite3", "pbac"):
        (home.folder / f"{name}.py").write_text("raise SystemExit('taken over')")
    compiler = PolicyCompiler(home.state)
    assert (await compiler.build(of_folder(home))).version
    await compiler.close()
