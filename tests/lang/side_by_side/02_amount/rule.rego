package gateway

default allow := false

allow if {
	input.call.tool == "refund"
	not denied
}

denied if input.args.amount > 100
