package gateway

default allow := false

allow if {
	input.call.tool == "delete_branch"
	not denied
}

denied if input.agent.provider == "unvetted"

denied if {
	some actor in input.chain.actors
	actor.provider == "unvetted"
}
