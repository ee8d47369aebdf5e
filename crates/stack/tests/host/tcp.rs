//! TCP connections from their first to their last segment.

use socketlab_stack::*;

use crate::harness::*;

#[test]
fn handshake_data_both_ways_and_close() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    assert_eq!((net.state(0, client), net.state(1, server)), (TcpState::Established, TcpState::Established));
    assert_eq!(net.send(0, client, b"hello"), Ok(Ret::Len(5)));
    assert_eq!(bytes(net.recv(1, server, 100)), "hello");
    net.send(1, server, b"hej").unwrap();
    assert_eq!(bytes(net.recv(0, client, 100)), "hej");
    net.run(ms(100));
    net.close(0, client);
    net.run(ms(100));
    assert_eq!(net.state(1, server), TcpState::CloseWait);
    assert_eq!(bytes(net.recv(1, server, 100)), "");
    net.close(1, server);
    net.run(ms(100));
    assert_eq!(net.kernel_states(0), [TcpState::TimeWait]);
    assert_eq!(net.kernel_states(1), []);
    assert_eq!(
        net.segments(0),
        [
            "0 SYN",
            "1 SYN,ACK",
            "0 ACK",
            "0 PSH,ACK 5",
            "1 ACK",
            "1 PSH,ACK 3",
            "0 ACK",
            "0 FIN,ACK",
            "1 ACK",
            "1 FIN,ACK",
            "0 ACK",
        ]
    );
}
