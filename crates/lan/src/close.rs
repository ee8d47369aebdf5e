//! The codes of close frames by which a relay ends a membership, or does not let it begin. The text beside them is for
//! people.

/// The relay does not want this member: the room or a message (RFC 6455 7.4.1, "policy violation").
pub const REFUSED: u16 = 1008;

/// A teacher closed the connection. Of the numbers that RFC 6455 7.4.2 leaves to applications.
pub const THROWN_OUT: u16 = 4001;

/// The relay wants a class code, and none was said.
pub const CODE_WANTED: u16 = 4002;

/// The class code is none of this relay's.
pub const WRONG_CODE: u16 = 4003;

/// The class code that the member came in with has been withdrawn.
pub const CODE_WITHDRAWN: u16 = 4004;

/// Not for good: the relay has no room now, or is being stopped ("try again later" in IANA's WebSocket close code number
/// registry).
pub const TRY_LATER: u16 = 1013;

/// Whether coming back would end the same way.
pub const fn is_final(code: u16) -> bool {
    matches!(code, REFUSED | THROWN_OUT | CODE_WANTED | WRONG_CODE | CODE_WITHDRAWN)
}
