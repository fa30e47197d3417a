"""Turns the wall clock of the process that has this folder on its path.

`TURNED_CLOCK` names a file of eight bytes, the nanoseconds to add; whoever holds the file may turn
the clock while the process runs. Nothing else of the process is touched, monotonic time least.
"""

import mmap
import os
import struct
import time

with open(os.environ["TURNED_CLOCK"], "r+b") as file:  # noqa: PTH123 (before anything is imported)
    _turned = mmap.mmap(file.fileno(), 8)

_real = time.time_ns
time.time_ns = lambda: _real() + struct.unpack("<q", _turned[:8])[0]
