lesson-title = Uppgift
lesson-hint = Ledtråd { $number } av { $all }
lesson-progress = { $done } av { $all }
