package gateway

default allow := false

allow if {
	input.call.tool == "refund"
	not denied
}

denied if not small

small if {
	is_number(input.args.amount)
	input.args.amount <= 100
}
