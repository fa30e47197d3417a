package gateway

default allow := false

allow if {
	input.call.tool == "order"
	costs := [cost | some item in input.args.items; cost := item.price * item.count]
	count(costs) == count(input.args.items)
	sum(costs) <= input.facts.budget.left
}
