# Facts in the log that are no frame, call or state. Parameters are numbers, names and what a lab file says.
notice-frame-queued = The frame waits for the link, { $ahead } before it.
notice-loopback = A packet of { $octets } octets goes through lo.
notice-link-changed = The link was changed: { $before } became { $after }.
notice-link-cut = The link was cut.
notice-link-mended = The link was mended.
notice-frame-held = The frame is held.
notice-frame-released = The frame was let go.
notice-frame-edited = { $octets } octets of the frame were changed.
notice-will-hold = Frame { $nth } from now will be held.
notice-will-drop = Frame { $nth } from now will be dropped.
notice-timer-set = { $timer } runs out in { $ms } ms.
notice-timer-stopped = { $timer } was stopped.
notice-service-started = The service { $service } begins.
notice-address-lent = DHCP: { $server } lends { $address } for { $seconds } s (router { $router }, DNS { $dns }).
notice-address-lost = DHCP: the address lent by { $server } has run out.
