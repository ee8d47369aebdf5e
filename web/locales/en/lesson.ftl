lesson-title = Lesson
lesson-hint = Hint { $number } of { $all }
lesson-progress = { $done } of { $all }
