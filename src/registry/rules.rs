//! Numbers of the rules that objects are held to, as `[server.limits]` sets them.

/// What the operator may set about the rules of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// uidNumbers and gidNumbers below this are for superusers and the operator to give.
    pub posix_number_min: u32,
    /// Values of one attribute that who is no superuser may give.
    pub attribute_values_max: usize,
    /// Characters of a person's password, at least.
    pub password_length_min: usize,
    /// Octets of a secret that a bind may carry, so that a longer one would be of no use.
    pub secret_length_max: usize,
    /// Groups that one group is in, itself counted.
    pub groups_above_max: usize,
    /// Containers of one kind.
    pub containers_max: usize,
    /// Octets of a base DN or of the DN of a container.
    pub container_length_max: usize,
    /// Whether accounts may have the uidNumber of another: an import that was told so.
    pub shares_uid_numbers: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            posix_number_min: 1_000,
            attribute_values_max: 1_000,
            password_length_min: 8,
            secret_length_max: 1_024,
            groups_above_max: 256,
            containers_max: 100,
            container_length_max: 1_024,
            shares_uid_numbers: false,
        }
    }
}
