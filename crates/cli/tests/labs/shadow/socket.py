print("this is not the standard library")
