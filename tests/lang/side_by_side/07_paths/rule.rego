package gateway

default allow := false

allow if {
	input.call.tool == "read_file"
	not denied
}

denied if not startswith(input.args.path, "/srv/project/")
