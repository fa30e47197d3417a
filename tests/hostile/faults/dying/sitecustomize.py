"""Kills the process that imports it, with SIGKILL, when it comes to a named place.

`DIE_AT` names a function as `module:Class.function`, then `:before` or `:after`: for example
`pbac.adapters.disk:Disk.sync:after`. The first call of it counts once the file `DIE_WHEN` exists.
The interpreter imports this by itself when its folder is on `PYTHONPATH`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.abc
import inspect
import os
import signal
import sys
from pathlib import Path


class Killer:
    """Wraps one function once its module is loaded."""

    def __init__(self, place):
        self.module, self.function, self.when = place.split(":")

    def arm(self, module):
        owner = module
        *owners, name = self.function.split(".")
        for each in owners:
            owner = getattr(owner, each)
        setattr(owner, name, self.wrapped(getattr(owner, name)))

    def comes(self, when):
        if self.when == when and Path(os.environ["DIE_WHEN"]).exists():
            os.kill(os.getpid(), signal.SIGKILL)

    def wrapped(self, function):
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def dying(*arguments, **named):
                self.comes("before")
                result = await function(*arguments, **named)
                self.comes("after")
                return result

        else:

            @functools.wraps(function)
            def dying(*arguments, **named):
                self.comes("before")
                result = function(*arguments, **named)
                self.comes("after")
                return result

        return dying


class Finder(importlib.abc.MetaPathFinder):
    """Lets the module load as always, then arms the killer in it."""

    def __init__(self, killer):
        self.killer = killer

    def find_spec(self, name, path, target=None):
        if name != self.killer.module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            self.killer.arm(module)

        spec.loader.exec_module = exec_module
        return spec


if place := os.environ.get("DIE_AT"):
    sys.meta_path.insert(0, Finder(Killer(place)))
