//! What it costs to look at values, taken off what may be looked at.

/// Takes the cost of one value off the allowance; says whether there was as much left.
pub(super) fn spend(allowance: &mut u64, cost: u64) -> bool {
    *allowance = allowance.saturating_sub(cost);
    *allowance > 0
}

/// The same of a value that costs so much when it is short.
pub(super) fn spend_on(allowance: &mut u64, cost: u64, value: &[u8]) -> bool {
    spend(allowance, cost + octets_cost(value))
}

/// What the length of a value costs.
fn octets_cost(value: &[u8]) -> u64 {
    value.len() as u64 / OCTETS_OF_ONE_WORK
}

/// What it costs to look an entry up by the normal form of its DN.
pub(super) const WORK_OF_A_LOOK_UP: u64 = 4;
/// So many octets of a value cost as much to look at as a short value.
const OCTETS_OF_ONE_WORK: u64 = 256;
