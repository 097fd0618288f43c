//! Numbers of the rules that objects are held to, as `[server.limits]` sets them.

/// What the operator may set about the rules of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// uidNumbers and gidNumbers below this are for superusers and the operator to give.
    pub posix_number_min: u32,
    /// Characters of a person's password, at least.
    pub password_length_min: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self { posix_number_min: 1_000, password_length_min: 8 }
    }
}
