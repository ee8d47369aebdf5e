//! The lab worker, see the library.

fn main() {
    socketlab_worker::shell::begin();
}
