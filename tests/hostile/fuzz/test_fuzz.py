"""Every target on its corpus and on fresh mutations of sound inputs; for long with `--full`."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hostile.fuzz.inputs import PIECES, seeds
from hostile.fuzz.targets import TARGETS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
FULL_SECONDS = 300
EXAMPLES = {"policy": 80}


def corpus(name: str) -> list[Path]:
    return sorted((CORPUS / name).glob("*"))


@st.composite
def mutated(draw, sound: list[bytes], pieces: list[bytes]) -> bytes:
    """A sound input with a few pieces put in, cut out or doubled."""
    data = draw(st.sampled_from(sound))
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.sampled_from([0, 0, 0, 1, 2, 8, 64])))
        piece = draw(st.sampled_from(pieces) | st.binary(max_size=4) | st.just(data[at:end] * 2))
        data = data[:at] + piece + data[end:]
    return data


@pytest.mark.parametrize("name", TARGETS)
def test_mutations_of_sound_inputs(name):
    sound = seeds()[name] + [path.read_bytes() for path in corpus(name)]

    @settings(
        max_examples=EXAMPLES.get(name, 300),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(mutated(sound, PIECES[name]) | st.binary(max_size=64))
    def check(data):
        TARGETS[name](data)

    check()


@pytest.mark.parametrize("name", TARGETS)
def test_sound_inputs_and_what_was_once_found(name):
    for data in seeds()[name] + [path.read_bytes() for path in corpus(name)]:
        TARGETS[name](data)


def test_the_corpus_belongs_to_targets():
    assert {path.name for path in CORPUS.iterdir()} <= TARGETS.keys()


@pytest.mark.full
@pytest.mark.timeout(FULL_SECONDS + 120)
@pytest.mark.parametrize("name", TARGETS)
def test_guided_by_coverage(name, say):
    assert importlib.util.find_spec("atheris"), "install the extra `fuzz`"
    command = [sys.executable, str(HERE / "run.py"), name, "--seconds", str(FULL_SECONDS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    ran = re.findall(r"number_of_executed_units: (\d+)", done.stderr)
    say(f"fuzzing: {name}: {''.join(ran) or 'no'} inputs in {FULL_SECONDS} s")
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-8_000:]
