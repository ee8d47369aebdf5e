inspector-title = Paket { $number }
inspector-field = { $name }, { $octets } byte
inspector-bytes = Paketets byte
edit-what = Två hexadecimala siffror per byte, från mottagarens MAC-adress och framåt. Kontrollsummor förblir som du lämnar dem: en mottagare som hittar en felaktig kastar paketet utan ett ord.
edit-changed = { $octets ->
    [0] Inget ändrat
    [one] 1 byte ändrad
   *[other] { $octets } byte ändrade
 }
edit-not-hex = { $word } är ingen byte: två siffror av 0–9 och a–f
edit-length = { $octets } byte; en ram på den här länken har { $least } till { $most }
edit-save = Sätt in
edit-cancel = Avbryt
edit-done = Ändrad för hand
