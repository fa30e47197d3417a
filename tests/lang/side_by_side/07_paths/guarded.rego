package gateway

default allow := false

allow if {
	input.call.tool == "read_file"
	not denied
}

denied if not inside

inside if {
	startswith(concat("", [input.args.path, "/"]), "/srv/project/")
	not ".." in split(input.args.path, "/")
	not regex.match(`[%\\[:cntrl:]]`, input.args.path)
}
