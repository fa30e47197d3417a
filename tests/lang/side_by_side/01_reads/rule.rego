package gateway

default allow := false

tiers := ["read_only", "ci_agent", "developer", "trusted"]

reads := {"get_*", "list_*", "search_*"}

allow if {
	input.call.server == "github"
	input.agent.tier in array.slice(tiers, 1, 4)
	some pattern in reads
	glob.match(pattern, [".", "/"], input.call.tool)
	not glob.match("get_secret_*", [".", "/"], input.call.tool)
}
