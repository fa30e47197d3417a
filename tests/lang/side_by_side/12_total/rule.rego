package gateway

default allow := false

allow if {
	input.call.tool == "order"
	costs := [cost | some item in input.args.items; cost := item.price * item.count]
	sum(costs) <= input.facts.budget.left
}
