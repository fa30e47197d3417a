"""Cases of areas in force that cannot be tried yet: what has to be built first."""

from __future__ import annotations

PENDING: dict[str, str] = {
    "DOS-13": "limits are counted in this process; there is no store of them that could be down",
    "INT-04": "asking another authorization server about its tokens; ours are the only ones taken",
    "REV-02": "replicas; one process serves one store, and other processes' changes act at once",
    "REV-08": "refresh tokens; only access tokens are issued, and each is revoked by itself",
    "REV-10": "users who sign in; agents act for themselves and have no password to reset",
    "CON-06": "approvals that somebody can give; the race for a limited call is tried in CON-01",
    "PUP-08": "replicas; one process decides for one store, so there is no other that could lag",
    "PUP-09": "replicas; the store of versions is this machine's own file, and a gateway that loses "
    "it decides on by what it has loaded",
    "MCP-37": "approvals asked for by `input_required`: until then no `requestState` is issued, and "
    "one that is sent is dropped (JSN-07 sends it)",
}
