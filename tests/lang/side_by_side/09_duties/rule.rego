package gateway

default allow := false

allow if input.call.tool == "merge_pull_request"

duties contains {"kind": "approval", "from": "maintainers", "within": "15m"} if {
	input.call.tool == "merge_pull_request"
	not input.facts.pull.base == "sandbox"
}

duties contains {"kind": "limit", "calls": 20, "per": "1m", "by": ["agent"]}
