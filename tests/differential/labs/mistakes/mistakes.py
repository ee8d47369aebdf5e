# About 110 mistakes that people make with sockets.
import socket, threading, time, traceback, os, sys, errno, struct
L='127.0.0.1'
def show(name, f):
    try:
        r=f()
        print(f"## {name}\n   -> returned {r!r}")
    except BaseException as e:
        m=type(e).__module__; q=type(e).__qualname__
        print(f"## {name}\n   -> {(m+'.') if m!='builtins' else ''}{q}: {e}")
def T(t=socket.SOCK_STREAM,to=None):
    s=socket.socket(socket.AF_INET,t); 
    if to: s.settimeout(to)
    return s
def server():
    s=T(); s.bind((L,0)); s.listen(5); return s
def pair():
    s=server(); c=T(); c.connect(s.getsockname()); a,_=s.accept(); return s,c,a
show("bind two args", lambda: T().bind(L,50001))
show("bind list", lambda: T().bind([L,50001]))
show("bind str only", lambda: T().bind(L))
show("bind port as str", lambda: T().bind((L,'50001')))
show("bind port float", lambda: T().bind((L,50001.0)))
show("bind 3-tuple", lambda: T().bind((L,1,2)))
show("bind host None", lambda: T().bind((None,1)))
show("bind host int", lambda: T().bind((127,1)))
show("connect two args", lambda: T().connect(L,50001))
show("connect port str", lambda: T().connect((L,'80')))
show("port 65536 bind", lambda: T().bind((L,65536)))
show("port 70000 connect", lambda: T().connect((L,70000)))
show("port -1", lambda: T().bind((L,-1)))
show("port 80000 sendto", lambda: T(socket.SOCK_DGRAM).sendto(b'x',(L,80000)))
show("connect port 0", lambda: T().connect((L,0)))
def f():
    s=server(); p=s.getsockname()[1]; T().bind((L,p))
show("address in use (listener exists)", f)
def f():
    s,c,a=pair(); p=s.getsockname()[1]
    a.close(); time.sleep(.05); c.close(); s.close(); time.sleep(.05)
    n=T(); n.bind((L,p))
show("address in use (TIME_WAIT, server closed first)", f)
def f():
    s,c,a=pair(); p=s.getsockname()[1]
    a.close(); time.sleep(.05); c.close(); s.close(); time.sleep(.05)
    n=T(); n.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1); n.bind((L,p)); return 'bound ok'
show("same with SO_REUSEADDR", f)
def f():
    s=T(); s.bind((L,0)); s.bind((L,0))
show("bind twice", f)
show("bind non-local IP", lambda: T().bind(('8.8.8.8',50000)))
show("bind hostname unknown", lambda: T().bind(('no.such.host.invalid',50000)))
show("str send", lambda: pair()[1].send('hello'))
show("str sendall", lambda: pair()[1].sendall('hello'))
show("str sendto", lambda: T(socket.SOCK_DGRAM).sendto('hello',(L,9)))
show("sendto no addr", lambda: T(socket.SOCK_DGRAM).sendto(b'hello'))
show("sendto addr split", lambda: T(socket.SOCK_DGRAM).sendto(b'hello',L,9))
show("UDP send w/o connect", lambda: T(socket.SOCK_DGRAM).send(b'hello'))
show("UDP recv timeout", lambda: T(socket.SOCK_DGRAM,0.1).recv(10))
show("int send", lambda: pair()[1].send(5))
show("concat str+bytes", lambda: 'x'+b'y')
show("concat bytes+str", lambda: b'y'+'x')
show("bytes.encode", lambda: b'y'.encode())
show("str.decode", lambda: 'y'.decode())
show("bytes split str", lambda: b'a b'.split(' '))
show("bytes in", lambda: 'x' in b'xyz')
show("bytes == str", lambda: b'quit'=='quit')
show("decode bad utf8", lambda: b'\xe5\xe4\xf6'.decode())
show("decode split multi-byte", lambda: 'å'.encode()[:1].decode())
show("ascii encode å", lambda: 'å'.encode('ascii'))
show("b'å' literal", lambda: eval("b'å'"))
show("print bytes", lambda: str(b'hej'))
show("f-string bytes", lambda: f"got {b'hej'}")
show("connect refused", lambda: T().connect((L,1)))
def f():
    s=T(); s.bind((L,0)); T().connect(s.getsockname())
show("connect refused (bound, no listen)", f)
def f():
    s=T(); s.bind((L,0)); s.accept()
show("accept without listen", f)
show("listen without bind", lambda: (lambda s:(s.listen(),s.getsockname()))(T()))
show("listen on UDP", lambda: T(socket.SOCK_DGRAM).listen())
show("accept on UDP", lambda: T(socket.SOCK_DGRAM).accept())
show("recv on listening socket", lambda: server().recv(10))
show("send on listening socket", lambda: server().send(b'x'))
show("recv on unconnected TCP", lambda: T().recv(10))
show("send on unconnected TCP", lambda: T().send(b'x'))
show("sendall on unconnected TCP", lambda: T().sendall(b'x'))
show("getpeername unconnected", lambda: T().getpeername())
show("TCP sendto unconnected with addr", lambda: T().sendto(b'x',(L,1)))
show("shutdown unconnected", lambda: T().shutdown(socket.SHUT_WR))
def f():
    s,c,a=pair(); c.connect(s.getsockname())
show("connect twice", f)
def f():
    s=server(); s.connect((L,1))
show("connect on listening", f)
def f():
    s,c,a=pair(); c.listen()
show("listen on connected", f)
def f():
    s,c,a=pair(); c.bind((L,0))
show("bind on connected", f)
def f():
    s=server(); T().connect(s.getsockname()); x=s.accept(); x.recv(10)
show("accept result not unpacked .recv", f)
def f():
    s=server(); T().connect(s.getsockname()); x=s.accept(); return [type(i).__name__ for i in x], x[1]
show("accept result", f)
def f():
    s=server(); T().connect(s.getsockname()); a,(ip,port),z=s.accept()
show("unpack 3", f)
def f():
    s,c,a=pair(); c.close(); c.send(b'x')
show("send on own closed socket", f)
def f():
    s,c,a=pair(); c.close(); c.recv(1)
show("recv on own closed socket", f)
def f():
    s,c,a=pair(); c.close(); return c.fileno(), c
show("closed repr", f)
def f():
    s,c,a=pair(); a.close(); return c.recv(10)
show("recv after peer close", f)
def f():
    s,c,a=pair(); a.close(); time.sleep(.05); r=c.send(b'1'); time.sleep(.05); c.send(b'2')
show("send twice after peer close (1st ok, RST comes, 2nd)", f)
def f():
    s,c,a=pair(); a.close(); time.sleep(.05); r=c.send(b'1'); time.sleep(.05); return c.recv(10)
show("send after peer close then recv", f)
def f():
    s,c,a=pair(); c.send(b'unread'); time.sleep(.05); a.close(); time.sleep(.05); return c.recv(10)
show("peer closes with unread data -> recv", f)
def f():
    s,c,a=pair(); a.setsockopt(socket.SOL_SOCKET,socket.SO_LINGER,struct.pack('ii',1,0)); a.close(); time.sleep(.05); return c.recv(10)
show("peer SO_LINGER 0 -> recv", f)
def f():
    s,c,a=pair(); a.setsockopt(socket.SOL_SOCKET,socket.SO_LINGER,struct.pack('ii',1,0)); a.close(); time.sleep(.05); return c.send(b'x')
show("peer SO_LINGER 0 -> send", f)
def f():
    s,c,a=pair(); a.setsockopt(socket.SOL_SOCKET,socket.SO_LINGER,struct.pack('ii',1,0)); a.close(); time.sleep(.05); c.shutdown(socket.SHUT_WR)
show("peer RST -> shutdown", f)
def f():
    s,c,a=pair(); c.shutdown(socket.SHUT_WR); return c.send(b'x')
show("send after own shutdown(WR)", f)
def f():
    s,c,a=pair(); c.shutdown(socket.SHUT_WR); return a.recv(10)
show("recv after peer shutdown(WR)", f)
show("recv timeout", lambda: (lambda p:(p[1].settimeout(.1),p[1].recv(1)))(pair()))
show("accept timeout", lambda: (lambda s:(s.settimeout(.1),s.accept()))(server()))
show("socket.timeout is TimeoutError", lambda: (socket.timeout is TimeoutError, issubclass(TimeoutError,OSError), socket.error is OSError))
show("nonblocking recv", lambda: (lambda p:(p[1].setblocking(False),p[1].recv(1)))(pair()))
def f():
    s=T(); s.setblocking(False); s.connect(('10.255.255.1',80))
show("nonblocking connect", f)
def f():
    s=T(to=.2); s.connect(('10.255.255.1',80))
show("connect timeout w/ settimeout (or unreachable)", f)
show("gaierror unknown host", lambda: T().connect(('no.such.host.invalid',80)))
show("gaierror URL as host", lambda: T().connect(('http://example.com',80)))
show("gaierror empty str connect", lambda: T().connect(('',80)))
show("bind empty host ok", lambda: (lambda s:(s.bind(('',0)),s.getsockname()))(T()))
show("bad IP 999", lambda: T().connect(('192.168.1.999',80)))
show("host with spaces", lambda: T().connect(('192.168.1.1 ',80)))
show("host:port in str", lambda: T().connect('127.0.0.1:80'))
show("IPv6 literal on AF_INET", lambda: T().connect(('::1',80)))
show("host label empty", lambda: T().connect(('www..com',80)))
show("gaierror getaddrinfo", lambda: socket.getaddrinfo('no.such.host.invalid',80))
show("gethostbyname", lambda: socket.gethostbyname('no.such.host.invalid'))
show("recv no arg", lambda: pair()[1].recv())
show("recv negative", lambda: pair()[1].recv(-1))
show("recv str", lambda: pair()[1].recv('1024'))
show("recv(0)", lambda: pair()[1].recv(0))
show("readline", lambda: pair()[1].readline())
show("write", lambda: pair()[1].write(b'x'))
show("socket.Socket", lambda: socket.Socket())
show("AF_INIT", lambda: socket.AF_INIT)
show("sendAll", lambda: T().sendAll)
show("recieve", lambda: T().recieve)
def f():
    import types
    m=types.ModuleType('socket'); m.__file__='socket.py'
    return m.AF_INET
show("own file named socket.py (module lookups)", f)
show("UDP datagram truncated", lambda: (lambda a,b:(a.bind((L,0)),b.sendto(b'0123456789',a.getsockname()),a.recv(4),))(T(socket.SOCK_DGRAM),T(socket.SOCK_DGRAM)))
show("UDP too long", lambda: T(socket.SOCK_DGRAM).sendto(b'x'*65508,(L,9)))
show("UDP broadcast no SO_BROADCAST", lambda: T(socket.SOCK_DGRAM).sendto(b'x',('255.255.255.255',9)))
def f():
    s=T(socket.SOCK_DGRAM,.5); s.connect((L,1)); s.send(b'x'); time.sleep(.05); return s.recv(10)
show("UDP connected to closed port -> recv", f)
def f():
    s=T(socket.SOCK_DGRAM,.3); s.sendto(b'x',(L,1)); time.sleep(.05); return s.recv(10)
show("UDP unconnected sendto closed port -> recv", f)
def f():
    s=T(socket.SOCK_DGRAM,.1); return s.recvfrom(10), s.getsockname()
show("UDP recvfrom before bind", f)
def f():
    s,c,a=pair(); c.setblocking(False); n=c.send(b'x'*10_000_000); return n
show("partial send nonblocking", f)
def f():
    s,c,a=pair(); c.settimeout(.2); c.sendall(b'x'*50_000_000)
show("sendall to a peer who does not read, timeout", f)
def f():
    s,c,a=pair(); c.send(b'HELLO'); c.send(b'WORLD'); time.sleep(.05); return a.recv(1024)
show("two sends one recv", f)
def f():
    s,c,a=pair(); c.sendall(b'A'*200000); time.sleep(.1); return len(a.recv(1000000))
show("big send, recv(1000000) once", f)
def f():
    s,c,a=pair(); return c, a, s
show("repr", lambda: [repr(x) for x in f()])
show("tuple str concat", lambda: "Connected by "+('1',2))
show("with after close", lambda: (lambda s:(s.close(),s.__enter__().fileno()))(T()))
def f():
    s=T(to=.1)
    s.close(); s.close(); return 'double close ok'
show("double close",f)
def f():
    s=T(socket.SOCK_DGRAM); s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,'1')
show("setsockopt str",f)
def f():
    s=T(); s.bind((L,0)); s.listen(0); cs=[]
    for i in range(6):
        c=T(to=.3); 
        try: c.connect(s.getsockname()); cs.append('ok')
        except Exception as e: cs.append(type(e).__name__)
        globals().setdefault('keep',[]).append(c)
    return cs
show("backlog 0, 6 connects, nobody accepts", f)
import resource
def f():
    soft,h=resource.getrlimit(resource.RLIMIT_NOFILE); resource.setrlimit(resource.RLIMIT_NOFILE,(20,h)); k=[]
    try:
        for i in range(100): k.append(T())
    finally:
        [x.close() for x in k]; resource.setrlimit(resource.RLIMIT_NOFILE,(soft,h))
show("too many open files", f)
