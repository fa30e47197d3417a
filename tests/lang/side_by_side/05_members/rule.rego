package gateway

default allow := false

allow if {
	input.call.tool == "update_issue"
	input.args.owner in data.orgs[input.user.id]
}

allow if {
	input.call.tool == "update_issue"
	input.user.id in data.contractors
	input.env.now * 1000000 < time.parse_rfc3339_ns("2027-01-01T00:00:00Z")
}
