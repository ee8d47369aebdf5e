problems-title = Det här labbet kan inte öppnas.
lab-syntax = Det här är inte TOML: { $message }
lab-unknown-field = Det finns inget fält ”{ $name }” här; kända är { $known }.
lab-unknown-field-near = Det finns inget fält ”{ $name }” här; menade du ”{ $nearest }”?
lab-missing-field = Fältet ”{ $name }” saknas; lägg till { $example }.
lab-wrong-type = Ska vara { $expected }, inte { $found }.
lab-bad-version = Den här produkten läser version 1, inte { $found }; skriv version = 1.
lab-bad-name = ”{ $name }” kan inte vara ett namn; använd bokstäver, siffror och bindestreck, som ”server-1”.
lab-duplicate-name = ”{ $name }” är redan namnet på något på rad { $line }; välj ett annat.
lab-missing-host = Det finns ingen värd ”{ $name }”; lägg till en [[host]] med det namnet.
lab-missing-host-near = Det finns ingen värd ”{ $name }”; menade du ”{ $nearest }”?
lab-missing-node = Det finns ingen värd, switch, router eller gateway ”{ $name }”; lägg till en med det namnet.
lab-missing-node-near = Det finns ingen värd, switch, router eller gateway ”{ $name }”; menade du ”{ $nearest }”?
lab-bad-between = En länk förenar två olika noder; skriv between = ["client", "server"].
lab-switch-loop = Den här länken sluter en slinga av switchar, där ramar skulle gå runt för evigt; ta bort den.
lab-bad-address = ”{ $value }” är ingen adress; skriv den som ”10.0.0.80/24”.
lab-duplicate-address = { $address } hör redan till ”{ $name }”; välj en annan.
lab-network-full = Ingen adress är kvar i { $network }; ange adresser i ett större nät.
lab-bad-route = ”{ $value }” är ingen grannes adress; skriv ”on-link” eller en adress i { $networks }.
lab-bad-duration = ”{ $value }” är ingen tid; skriv den med enhet, som ”5ms” eller ”2s”.
lab-bad-rate = ”{ $value }” är ingen hastighet; skriv den med enhet, som ”10mbit”.
lab-bad-chance = { $value } är ingen sannolikhet; skriv ett tal från 0 till 1, som 0.01.
lab-bad-number = { $value } ligger utanför; det ska vara från { $low } till { $high }.
lab-two-inputs = Ett program har antingen stdin eller typed; ta bort det ena.
lab-bad-choice = ”{ $value }” kan inte stå här; skriv något av { $known }.
lab-bad-ports = ”{ $value }” är ingen port; skriv ett tal, eller ett intervall som ”8000-8100”.
lab-bad-endpoint = ”{ $value }” är ingen IPv4-adress eller värd med port; skriv den som ”server:80”.
lab-bad-network = ”{ $value }” är inget nätverk; skriv det som ”10.0.2.0/24”.
lab-bad-place = ”{ $value }” är ingen värd, adress eller nätverk; skriv ”client” eller ”10.0.2.0/24”.
lab-bad-range = ”{ $value }” är inget intervall i något av värdens nätverk; skriv det som ”10.0.0.100-10.0.0.199”.
lab-nat-outside = Vilken länk leder ut? Skriv outside = "{ $example }"; grannarna är { $names }.
lab-no-dhcp = Ingen i nätverket där ”{ $name }” finns delar ut adresser; lägg till en [[service]] med kind = "dhcp".
lab-one-lan = Ett labb har en anslutning till ett delat LAN, och det är ”{ $name }”; ta bort den här.
lab-bad-room = ”{ $name }” kan inte vara ett rum; använd högst 48 bokstäver (a till z), siffror, bindestreck och understreck.
lab-lan-dhcp = I ett delat LAN delar rummet ut adresserna; använd DHCP i ett annat nät.
lab-lan-full = { $hosts } värdar är i det delade LAN:et, och en medlem får ha { $most }; ställ några bakom en router.
lab-not-an-end = ”{ $value }” är inte i någon ände av länken; skriv ”{ $one }” eller ”{ $other }”.
lab-not-of-this-service = En tjänst av slaget ”{ $kind }” har inget ”{ $name }”; ta bort det.
lab-missing-file = Programfilen ”{ $name }” finns inte; lägg den bredvid lab.toml.
lab-missing-file-near = Programfilen ”{ $name }” finns inte; menade du ”{ $nearest }”?
problems-show = Visa raden
