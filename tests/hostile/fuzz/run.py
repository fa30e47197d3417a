"""Coverage-guided fuzzing of one target: `run.py TARGET --seconds N`. Needs the extra `fuzz`.

What is found is kept in `corpus/TARGET`, where every test run replays it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))
with atheris.instrument_imports(include=["pbac"]):
    from hostile.fuzz.inputs import PIECES, seeds
    from hostile.fuzz.targets import TARGETS

BYTES_MAX = 2_048
INPUT_SECONDS_MAX = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    kept = Path(__file__).parent / "corpus" / options.target
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        sound, words = work / "sound", work / "words.txt"
        sound.mkdir()
        for number, data in enumerate(seeds()[options.target]):
            (sound / f"{number}").write_bytes(data)
        words.write_text("".join(f'"{_escaped(each)}"\n' for each in PIECES[options.target]))
        atheris.Setup(
            [
                sys.argv[0],
                str(sound),
                str(kept),
                f"-max_total_time={options.seconds}",
                f"-dict={words}",
                f"-artifact_prefix={kept}/",
                f"-max_len={BYTES_MAX}",
                f"-timeout={INPUT_SECONDS_MAX}",
                "-print_final_stats=1",
            ],
            TARGETS[options.target],
        )
        atheris.Fuzz()


def _escaped(piece: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in piece)


if __name__ == "__main__":
    main()
