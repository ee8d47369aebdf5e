lesson-title = Uppgift
lesson-do = Gör så här
lesson-progress = { $done } av { $all }
