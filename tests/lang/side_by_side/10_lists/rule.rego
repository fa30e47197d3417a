package gateway

default allow := false

allow if {
	input.call.tool == "send_mail"
	not denied
}

denied if {
	some to in input.args.to
	not endswith(to, "@example.com")
}

denied if {
	some file in input.args.files
	file.label == "secret"
}
