problems-title = This lab cannot be opened.
lab-syntax = This is not TOML: { $message }
lab-unknown-field = There is no field “{ $name }” here; known are { $known }.
lab-unknown-field-near = There is no field “{ $name }” here; did you mean “{ $nearest }”?
lab-missing-field = The field “{ $name }” is missing; add { $example }.
lab-wrong-type = Must be { $expected }, not { $found }.
lab-bad-version = This product reads version 1, not { $found }; write version = 1.
lab-bad-name = “{ $name }” cannot be a name; use letters, digits and hyphens, such as “server-1”.
lab-duplicate-name = “{ $name }” is already the name of something in line { $line }; choose another.
lab-missing-host = There is no host “{ $name }”; add a [[host]] with that name.
lab-missing-host-near = There is no host “{ $name }”; did you mean “{ $nearest }”?
lab-missing-node = There is no host, switch, router or gateway “{ $name }”; add one with that name.
lab-missing-node-near = There is no host, switch, router or gateway “{ $name }”; did you mean “{ $nearest }”?
lab-bad-between = A link joins two different nodes; write between = ["client", "server"].
lab-switch-loop = This link closes a loop of switches, in which frames would circle for ever; remove it.
lab-bad-address = “{ $value }” is not an address; write it as “10.0.0.80/24”.
lab-duplicate-address = { $address } already belongs to “{ $name }”; choose another.
lab-network-full = No address is left in { $network }; give addresses in a larger network.
lab-bad-route = “{ $value }” is no neighbour's address; write “on-link”, or an address in { $networks }.
lab-bad-duration = “{ $value }” is not a time; write it with its unit, such as “5ms” or “2s”.
lab-bad-rate = “{ $value }” is not a rate; write it with its unit, such as “10mbit”.
lab-bad-chance = { $value } is not a probability; write a number from 0 to 1, such as 0.01.
lab-bad-number = { $value } is out of range; it must be from { $low } to { $high }.
lab-two-inputs = A program has either stdin or typed; remove one.
lab-bad-choice = “{ $value }” cannot stand here; write one of { $known }.
lab-bad-ports = “{ $value }” is no port; write a number, or a range such as “8000-8100”.
lab-bad-endpoint = “{ $value }” is no IPv4 address or host with a port; write it as “server:80”.
lab-bad-network = “{ $value }” is no network; write it as “10.0.2.0/24”.
lab-bad-place = “{ $value }” is no host, address or network; write “client” or “10.0.2.0/24”.
lab-bad-range = “{ $value }” is no range in a network of this host; write it as “10.0.0.100-10.0.0.199”.
lab-nat-outside = Which link leads outside? Write outside = "{ $example }"; the neighbours are { $names }.
lab-no-dhcp = Nobody in the network of “{ $name }” gives out addresses; add a [[service]] with kind = "dhcp".
lab-one-lan = A lab has one port to a shared LAN, and “{ $name }” is it; remove this one.
lab-bad-room = “{ $name }” cannot be a room; use at most 48 letters (a to z), digits, hyphens and underscores.
lab-lan-dhcp = In a shared LAN the room gives out the addresses; use DHCP in another network.
lab-lan-full = { $hosts } hosts are in the shared LAN, and a member may have { $most }; put some behind a router.
lab-not-an-end = “{ $value }” is at no end of this link; write “{ $one }” or “{ $other }”.
lab-not-of-this-service = A service of kind “{ $kind }” has no “{ $name }”; remove it.
lab-missing-file = The program file “{ $name }” is not there; add it beside lab.toml.
lab-missing-file-near = The program file “{ $name }” is not there; did you mean “{ $nearest }”?
problems-show = Show the line
