//! Points that fill a cube evenly: Sobol's sequence in the order of Gray codes, with the direction numbers of Joe and Kuo
//! (SIAM J. Sci. Comput. 30, 2008; file `new-joe-kuo-6.21201`).

/// Degree s, coefficients a of the primitive polynomial, and the first s direction integers m of each dimension after
/// the first.
const DIRECTIONS: [(u32, u32, &[u32]); 15] = [
    (1, 0, &[1]),
    (2, 1, &[1, 3]),
    (3, 1, &[1, 3, 1]),
    (3, 2, &[1, 1, 1]),
    (4, 1, &[1, 1, 3, 3]),
    (4, 4, &[1, 3, 5, 13]),
    (5, 2, &[1, 1, 5, 5, 17]),
    (5, 4, &[1, 1, 5, 5, 5]),
    (5, 7, &[1, 1, 7, 11, 19]),
    (5, 11, &[1, 1, 5, 1, 1]),
    (5, 13, &[1, 1, 1, 3, 11]),
    (5, 14, &[1, 3, 5, 5, 31]),
    (6, 1, &[1, 3, 3, 9, 7, 49]),
    (6, 13, &[1, 1, 1, 15, 21, 21]),
    (6, 16, &[1, 3, 1, 13, 27, 49]),
];

/// Most dimensions.
pub const DIMENSIONS: usize = DIRECTIONS.len() + 1;

/// Coordinate `dimension` of point `index`, as a fraction of 2^32.
///
/// # Panics
/// If `dimension` is not below [`DIMENSIONS`].
pub fn coordinate(index: u32, dimension: usize) -> u32 {
    let directions = directions(dimension);
    let gray = index ^ (index >> 1);
    (0..32)
        .filter(|bit| gray >> bit & 1 == 1)
        .fold(0, |sum, bit| sum ^ directions[bit])
}

/// The direction numbers v_1 … v_32 of a dimension.
fn directions(dimension: usize) -> [u32; 32] {
    let mut v = [0u32; 32];
    let Some(before) = dimension.checked_sub(1) else {
        // The first dimension is van der Corput's sequence in base 2.
        return std::array::from_fn(|bit| 1 << (31 - bit));
    };
    let (degree, coefficients, first) = DIRECTIONS[before];
    let degree = degree as usize;
    for bit in 0..32 {
        v[bit] = match first.get(bit) {
            Some(m) => m << (31 - bit),
            None => {
                let mut next = v[bit - degree] ^ (v[bit - degree] >> degree);
                for k in 1..degree {
                    if coefficients >> (degree - 1 - k) & 1 == 1 {
                        next ^= v[bit - k];
                    }
                }
                next
            }
        };
    }
    v
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_of_two_of_points_has_one_in_every_stratum() {
        // Each coordinate of the first 2^k points falls once into each of 2^k intervals of equal length.
        for dimension in 0..DIMENSIONS {
            let mut strata: Vec<u32> = (0..256).map(|index| coordinate(index, dimension) >> 24).collect();
            strata.sort_unstable();
            assert_eq!(strata, (0..256).collect::<Vec<_>>(), "dimension {dimension}");
        }
    }
}
