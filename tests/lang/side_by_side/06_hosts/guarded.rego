package gateway

default allow := false

hosts := {"api.example.com", "docs.example.com"}

allow if {
	input.call.tool == "fetch"
	not denied
}

denied if not known

known if lower(uri.parse(input.args.url).hostname) in hosts
