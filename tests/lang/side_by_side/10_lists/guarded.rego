package gateway

default allow := false

allow if {
	input.call.tool == "send_mail"
	not denied
}

denied if not insiders

denied if not harmless

insiders if {
	is_array(input.args.to)
	every to in input.args.to {
		endswith(to, "@example.com")
	}
}

harmless if {
	files := object.get(input.args, "files", [])
	is_array(files)
	every file in files {
		is_string(file.label)
		file.label != "secret"
	}
}
