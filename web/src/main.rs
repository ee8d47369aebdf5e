//! The page's entry point.

fn main() {
    socketlab_web::start();
}
