//! The symmetric group of five things.
//!
//! Element e is the e-th permutation of 0, 1, 2, 3, 4 in lexicographic order of (s(0), …, s(4)), counted from 0: element 0
//! is the identity, element 1 swaps 3 and 4, element 119 turns the order round. The product a b is "a after b":
//! (a b)(i) = a(b(i)).

/// Things that are permuted.
const THINGS: usize = 5;

/// All permutations in their order.
pub(super) struct Permutations(Vec<[usize; THINGS]>);

impl Permutations {
    /// 5!
    pub const COUNT: usize = 120;

    pub fn new() -> Self {
        Self((0..Self::COUNT).map(unrank).collect())
    }

    /// a after b.
    pub fn compose(&self, a: u32, b: u32) -> u32 {
        let (a, b) = (self.0[a as usize], self.0[b as usize]);
        rank(b.map(|thing| a[thing])) as u32
    }
}

/// The permutation of this place in the order: the digits of the factorial number system say which of the things that are
/// left comes next.
fn unrank(mut place: usize) -> [usize; THINGS] {
    let mut left: Vec<usize> = (0..THINGS).collect();
    let mut block = Permutations::COUNT;
    std::array::from_fn(|i| {
        block /= THINGS - i;
        let next = left.remove(place / block);
        place %= block;
        next
    })
}

/// Its place in the order.
fn rank(permutation: [usize; THINGS]) -> usize {
    (0..THINGS).fold(0, |place, i| {
        let smaller = permutation[i + 1..].iter().filter(|x| **x < permutation[i]).count();
        place * (THINGS - i) + smaller
    })
}
