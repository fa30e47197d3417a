package gateway

default allow := false

allow if {
	input.call.tool == "merge_pull_request"
	not denied
}

requester := object.get(input, ["user", "login"], input.agent.id)

denied if not by_another

by_another if {
	is_string(input.facts.pull.author)
	input.facts.pull.author != requester
}
