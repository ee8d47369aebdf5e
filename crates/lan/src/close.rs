//! The codes of close frames by which a relay ends a membership for good: coming back would end the same way. The text
//! beside them is for people. After any other code a member comes back.

/// The relay does not want this member: the room, a message, or the class code (RFC 6455 7.4.1, "policy violation").
pub const REFUSED: u16 = 1008;

/// A teacher closed the connection. Of the numbers that RFC 6455 7.4.2 leaves to applications.
pub const THROWN_OUT: u16 = 4001;
