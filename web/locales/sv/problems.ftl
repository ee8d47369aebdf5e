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
lab-missing-node = Det finns ingen värd, switch eller gateway ”{ $name }”; lägg till en med det namnet.
lab-missing-node-near = Det finns ingen värd, switch eller gateway ”{ $name }”; menade du ”{ $nearest }”?
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
lab-router-later = Den här versionen har inga routrar än; förena värdarna med en switch eller ta bort [[router]].
lab-missing-file = Programfilen ”{ $name }” finns inte; lägg den bredvid lab.toml.
lab-missing-file-near = Programfilen ”{ $name }” finns inte; menade du ”{ $nearest }”?
