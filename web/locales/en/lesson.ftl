lesson-title = Lesson
lesson-do = Do this
lesson-progress = { $done } of { $all }
