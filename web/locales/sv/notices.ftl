# Fakta i loggen som inte är en ram, ett anrop eller ett tillstånd. Parametrarna är tal, namn och vad labbfilen säger.
notice-frame-queued = Ramen väntar på länken, { $ahead } före den.
notice-loopback = Ett paket på { $octets } byte går genom lo.
notice-link-changed = Länken ändrades: { $before } blev { $after }.
notice-link-cut = Länken klipptes av.
notice-link-mended = Länken lagades.
notice-frame-held = Ramen hålls kvar.
notice-frame-released = Ramen släpptes.
notice-frame-edited = { $octets } byte i ramen ändrades.
notice-will-hold = Ram nummer { $nth } från nu kommer att hållas kvar.
notice-will-drop = Ram nummer { $nth } från nu kommer att kastas.
notice-timer-set = { $timer } går ut om { $ms } ms.
notice-timer-stopped = { $timer } stoppades.
notice-service-started = Tjänsten { $service } börjar.
notice-address-lent = DHCP: { $server } lånar ut { $address } i { $seconds } s (router { $router }, DNS { $dns }).
notice-address-lost = DHCP: adressen som { $server } lånade ut har gått ut.
