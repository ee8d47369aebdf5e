import urllib.error
import urllib.request

for path in ("/a", "/b"):
    with urllib.request.urlopen(f"http://server{path}") as answer:
        print(answer.status, answer.read())
try:
    urllib.request.urlopen("http://server/none")
except urllib.error.HTTPError as error:
    print(error)
try:
    urllib.request.urlopen("http://server:81/")
except urllib.error.URLError as error:
    print(error)
