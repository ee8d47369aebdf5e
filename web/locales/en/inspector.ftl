inspector-title = Packet { $number }
inspector-field = { $name }, { $octets ->
    [one] 1 byte
   *[other] { $octets } bytes
 }
inspector-bytes = The packet's bytes
edit-what = Two hexadecimal digits a byte, from the destination's MAC address on. Checksums stay as you leave them: a receiver that finds one wrong drops the packet without a word.
edit-changed = { $octets ->
    [0] Nothing changed
    [one] 1 byte changed
   *[other] { $octets } bytes changed
 }
edit-not-hex = { $word } is no byte: two digits of 0–9 and a–f
edit-length = { $octets } bytes; a frame on this link has { $least } to { $most }
edit-save = Put in
edit-cancel = Cancel
edit-done = Changed by hand
