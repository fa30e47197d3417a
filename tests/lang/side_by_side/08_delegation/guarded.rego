package gateway

default allow := false

allow if {
	input.call.tool == "delete_branch"
	not denied
}

denied if not vetted

vetted if {
	input.agent.provider != "unvetted"
	every actor in input.chain.actors {
		actor.provider != "unvetted"
	}
}
