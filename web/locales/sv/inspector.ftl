inspector-title = Paket { $number }
inspector-field = { $name }, { $octets } byte
inspector-bytes = Paketets byte
