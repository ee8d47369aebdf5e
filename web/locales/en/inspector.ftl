inspector-title = Packet { $number }
inspector-field = { $name }, { $octets ->
    [one] 1 byte
   *[other] { $octets } bytes
 }
inspector-bytes = The packet's bytes
