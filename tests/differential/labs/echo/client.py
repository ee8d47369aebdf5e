import ready

for words in (["hej"], ["two", "words"], []):
    with ready.connect(("server", 7007)) as s:
        for word in words:
            s.sendall(word.encode())
            print("answer", s.recv(1024).decode())
