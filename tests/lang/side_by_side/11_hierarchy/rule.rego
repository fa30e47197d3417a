package gateway

default allow := false

allow if {
	input.call.tool == "deploy"
	"engineering" in graph.reachable(data.within, data.groups[input.user.id])
}
