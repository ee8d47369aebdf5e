//! UDP, ICMP, ARP.

use bytes::Bytes;
use socketlab_stack::*;

use crate::harness::*;

fn send_to(net: &mut Net, host: usize, fd: Fd, data: &[u8], to: &str) -> Result<Ret, Failure> {
    let data = Bytes::copy_from_slice(data);
    net.now(host, Call::SendTo { fd, data, flags: 0, addr: addr(to), timeout: None })
}

#[test]
fn a_datagram_reaches_the_socket_bound_to_its_port() {
    let mut net = Net::new();
    let server = net.socket(1, DGRAM);
    net.bind(1, server, "0.0.0.0:5005").unwrap();
    let client = net.socket(0, DGRAM);
    assert_eq!(send_to(&mut net, 0, client, b"hej", "10.0.0.2:5005"), Ok(Ret::Len(3)));
    let Ok(Ret::Data(data, Some(SockAddr::Ip(from)), 0)) = net.recv(1, server, 100) else { panic!() };
    assert_eq!((data.as_ref(), from.ip()), (&b"hej"[..], ip(0)));
    assert!((32_768..=60_999).contains(&from.port()));
}
