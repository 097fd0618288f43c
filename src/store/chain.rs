//! Which of the pieces that were found in a damaged file belong together. Somebody may have put what looks like one into a
//! value, and damage may lay it open: it loses itself, and nothing else.

/// How much of a damaged file may be hashed that turns out to be no piece: several times what was looked through, so that it
/// does not take as long as somebody likes who has put there what looks like the beginning of a long one at each octet. What is
/// too long by that is passed over, and what stands behind it is found.
#[derive(Debug, Default)]
pub(super) struct Effort {
    /// Octets that were hashed in vain.
    spent: u64,
}

impl Effort {
    /// Whether so many octets may be hashed when so many were looked through, as far as that goes beyond what came of it.
    pub(super) fn allows(&self, looked_through: u64, octets: u64) -> bool {
        let bound = looked_through.saturating_mul(HASHED_FOR_ONE).saturating_add(HASHED_MIN);
        self.spent.saturating_add(octets) <= bound
    }

    /// Takes note of octets that were hashed in vain.
    pub(super) fn spend(&mut self, octets: u64) {
        self.spent = self.spent.saturating_add(octets);
    }
}

/// The numbers of those pieces, which come in the order in which they stand, that follow on each other and weigh most.
pub(super) fn heaviest<T>(
    pieces: &[T],
    weight: impl Fn(&T) -> u64,
    follows: impl Fn(&T, &T) -> bool,
) -> Vec<usize> {
    // Of each: what the heaviest chain weighs that ends with it, and which piece it is behind there.
    let mut chains: Vec<(u64, Option<usize>)> = Vec::with_capacity(pieces.len());
    for (number, piece) in pieces.iter().enumerate() {
        let from = number.saturating_sub(LOOKED_BACK);
        let before = (from..).zip(pieces.iter().zip(&chains).skip(from));
        let before = before.filter(|(_, (before, _))| follows(before, piece));
        let before = before.max_by_key(|(_, (_, (weight, _)))| *weight);
        let (before, weighs) = before.map_or((None, 0), |(number, (_, (weight, _)))| (Some(number), *weight));
        chains.push((weighs.saturating_add(weight(piece)), before));
    }
    let mut next = chains.iter().enumerate().max_by_key(|(_, (weight, _))| *weight).map(|(number, _)| number);
    let mut heaviest = Vec::new();
    while let Some(number) = next {
        heaviest.push(number);
        next = chains.get(number).and_then(|(_, before)| *before);
    }
    heaviest.reverse();
    heaviest
}

/// A file with more pieces between two that belong together is of somebody who wants a salvage to take long.
/// No limit of the config: nobody is refused by it.
const LOOKED_BACK: usize = 4096;
/// No limit of the config: nobody is refused by it.
const HASHED_FOR_ONE: u64 = 16;
/// No limit of the config: nobody is refused by it.
const HASHED_MIN: u64 = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::heaviest;

    #[test]
    fn an_odd_piece_loses_itself_alone() {
        let rising = |pieces: &[u64]| heaviest(pieces, |_| 1, |one, next| one < next);
        assert_eq!(rising(&[1, 2, 99, 3, 4]), [0, 1, 3, 4]);
        assert_eq!(rising(&[50, 1, 2, 0, 3]), [1, 2, 4]);
        assert_eq!(rising(&[]), [0; 0]);
    }

    #[test]
    fn what_weighs_more_goes_first() {
        let heavy = |pieces: &[u64]| heaviest(pieces, |piece| *piece, |one, next| one < next);
        assert_eq!(heavy(&[1, 100, 2, 3]), [0, 1]);
    }
}
