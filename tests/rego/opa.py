"""What OPA answers: live where `.ci/run` has put `opa`, and as it was recorded everywhere.

`PYTHONPATH=tests python tests/rego/opa.py --record` asks OPA anew and writes `recorded.json`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from support.peers import OPA

RECORDED = Path(__file__).with_name("recorded.json")
POLICIES, REQUESTS = 60, 5
SEED = 29


def decided_by_opa(modules, inputs):
    """Policy → the answer to each of its inputs. One run of `opa` for all."""
    with tempfile.TemporaryDirectory() as folder:
        for name, module in modules.items():
            Path(folder, f"{name}.rego").write_text(module, "utf-8")
        Path(folder, "inputs.json").write_text(json.dumps({"inputs": inputs}), "utf-8")
        asked = ", ".join(
            f'"{name}": [a | some i in data.inputs["{name}"]; a := data.{name}.answer with input as i]'
            for name in modules
        )
        ran = subprocess.run(
            [
                str(OPA),
                "eval",
                "--format",
                "raw",
                "--strict-builtin-errors",
                "-d",
                folder,
                f"{{{asked}}}",
            ],
            capture_output=True,
            check=False,
            text=True,
        )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads(ran.stdout)


def twins(seed, policies, requests):
    """Name → text, module and requests of random policies."""
    from laws.chance import Chance
    from rego.twins import asked, twin

    found = {}
    for number in range(policies):
        chance = Chance(f"{seed} twins {number}")
        text, module = twin(chance, f"p{number}")
        found[f"p{number}"] = text, module, [asked(chance) for _ in range(requests)]
    return found


def _record():
    import msgspec

    made = twins(SEED, POLICIES, REQUESTS)
    inputs = {name: [_input(one) for one in asked] for name, (_, _, asked) in made.items()}
    answers = decided_by_opa({name: module for name, (_, module, _) in made.items()}, inputs)
    version = subprocess.run(
        [str(OPA), "version"], capture_output=True, check=True, text=True
    ).stdout
    rows = [
        {"text": text, "inputs": inputs[name], "answers": answers[name]}
        for name, (text, _, _) in made.items()
    ]
    lines = ",\n".join(msgspec.json.encode(row).decode() for row in rows)
    told = json.dumps(version.split()[1])
    RECORDED.write_text(f'{{"opa": {told}, "policies": [\n{lines}\n]}}\n', "utf-8")


def _input(asked):
    """A request as Rego reads it; a user that is not there is left out, not null."""
    import msgspec

    made = msgspec.to_builtins(asked)
    return {root: value for root, value in made.items() if value is not None}


if __name__ == "__main__" and sys.argv[1:] == ["--record"]:
    _record()
