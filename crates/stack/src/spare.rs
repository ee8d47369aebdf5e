//! Room that most connections do not need most of the time: a host may have thousands that rest.

use core::ops::{Deref, DerefMut};
use std::collections::VecDeque;

/// Something that is as it was in the beginning most of the time.
pub(crate) trait AtRest: Default + 'static {
    /// How it is then: its default.
    const AT_REST: &'static Self;

    /// Whether it is so now, as far as anybody can tell.
    fn is_at_rest(&self) -> bool;
}

/// A `T` that takes one pointer's room while it is at rest. Reading it then reads [`AtRest::AT_REST`]; changing it makes
/// room, so code that runs for every segment looks before it writes.
#[derive(Clone, Debug)]
pub(crate) struct Spare<T>(Option<Box<T>>);

impl<T> Default for Spare<T> {
    fn default() -> Self {
        Spare(None)
    }
}

impl<T: AtRest> Spare<T> {
    /// Gives the room back if nothing is in it.
    pub(crate) fn settle(&mut self) {
        if self.0.as_deref().is_some_and(T::is_at_rest) {
            self.0 = None;
        }
    }
}

impl<T: AtRest> Deref for Spare<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::AT_REST)
    }
}

impl<T: AtRest> DerefMut for Spare<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}

impl<T: 'static> AtRest for Vec<T> {
    const AT_REST: &'static Self = &Vec::new();

    fn is_at_rest(&self) -> bool {
        self.is_empty()
    }
}

impl<T: 'static> AtRest for VecDeque<T> {
    const AT_REST: &'static Self = &VecDeque::new();

    fn is_at_rest(&self) -> bool {
        self.is_empty()
    }
}
