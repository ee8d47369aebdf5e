//! Echo (RFC 862): what comes in goes out.

use bytes::Bytes;
use socketlab_stack::Fd;

use super::reactor::Out;

/// Octets of a connection.
pub(super) fn data(connection: Fd, data: &Bytes) -> Vec<Out> {
    vec![Out::Send(connection, data.clone())]
}
