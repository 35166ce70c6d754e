//! The cyclic group in which a modular operation adds: where its frequencies are those of.
//!
//! Sums and differences modulo p: the residues, element x being x. Products and quotients modulo a prime p: the residues
//! but 0, element e being g^e with the smallest generator g, so that a product adds elements; pairs with a 0 have none.

use super::Examples;
use crate::config::TaskOp;
use crate::error::{Error, Result};

/// A cyclic group of residues with an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cyclic {
    /// Whether the second operand is subtracted.
    subtracts: bool,
    /// Element of each residue.
    elements: Vec<Option<u32>>,
    /// Residue of each element.
    residues: Vec<u32>,
}

impl Cyclic {
    /// The group of an operation modulo p.
    ///
    /// # Errors
    /// If the operation adds in none: other operations, and products modulo a number that is not prime.
    pub fn new(op: TaskOp, p: u32) -> Result<Self> {
        let residues = match op {
            TaskOp::Add | TaskOp::Sub => (0..p).collect(),
            TaskOp::Mul | TaskOp::Div => (1..p).find_map(|base| all_powers(base, p)).ok_or_else(|| {
                Error::config(format!(
                    "products modulo {p} form no cyclic group of p - 1 elements, expected a prime p"
                ))
            })?,
            other => {
                return Err(Error::config(format!(
                    "operation {:?} adds in no cyclic group, expected \"add\", \"sub\", \"mul\" or \"div\"",
                    other.name()
                )));
            }
        };
        let mut elements = vec![None; p as usize];
        for (element, &residue) in (0..).zip(&residues) {
            elements[residue as usize] = Some(element);
        }
        Ok(Self {
            subtracts: matches!(op, TaskOp::Sub | TaskOp::Div),
            elements,
            residues,
        })
    }

    /// Elements: p, or p - 1.
    pub fn order(&self) -> usize {
        self.residues.len()
    }

    /// The modulus p.
    pub fn modulus(&self) -> usize {
        self.elements.len()
    }

    /// The class of an element.
    pub fn class(&self, element: usize) -> u32 {
        self.residues[element]
    }

    /// The element of a class; none for 0 in a group of products, and for classes that are no residues.
    pub fn of_class(&self, class: usize) -> Option<usize> {
        self.elements
            .get(class)
            .copied()
            .flatten()
            .map(|element| element as usize)
    }

    /// The element of a op b; none where an operand has none.
    pub fn of_pair(&self, a: u32, b: u32) -> Option<usize> {
        Some(self.combine(self.of_class(a as usize)?, self.of_class(b as usize)?))
    }

    /// The element that two elements, each below the order, make: their sum, or their difference.
    pub fn combine(&self, x: usize, y: usize) -> usize {
        let n = self.order();
        if self.subtracts { (x + n - y) % n } else { (x + y) % n }
    }

    /// The elements of an example's operands; none where one has none.
    pub fn operands(&self, examples: &Examples, row: usize) -> Option<(usize, usize)> {
        let (a, b) = Self::pair(examples, row);
        Some((self.of_class(a as usize)?, self.of_class(b as usize)?))
    }

    /// The operands of an example.
    fn pair(examples: &Examples, row: usize) -> (u32, u32) {
        let tokens = &examples.tokens[row * examples.t..][..examples.t];
        (tokens[0], tokens[if examples.t == 4 { 2 } else { 1 }])
    }

    /// The element of every example, by what its operands are, not its label; the order where there is none.
    ///
    /// Examples are `a b`, `a b =` or `a op b =`.
    pub fn of_examples(&self, examples: &Examples) -> Vec<u32> {
        (0..examples.n)
            .map(|row| {
                let (a, b) = Self::pair(examples, row);
                self.of_pair(a, b).unwrap_or(self.order()) as u32
            })
            .collect()
    }

    /// Whether these examples together are all pairs of elements, each once; pairs without an element may be there.
    ///
    /// # Errors
    /// If not; says what is missing.
    pub fn check_complete(&self, splits: &[&Examples]) -> Result<()> {
        let (p, n) = (self.modulus(), self.order());
        let mut seen = vec![false; p * p];
        let mut found = 0;
        for examples in splits {
            if examples.is_real() || !(2..=4).contains(&examples.t) {
                return Err(Error::config("examples are not written a b, a b = or a op b ="));
            }
            for row in 0..examples.n {
                let (a, b) = Self::pair(examples, row);
                if a as usize >= p || b as usize >= p {
                    return Err(Error::config(format!(
                        "example {row} has operands {a} and {b}, expected below p = {p}"
                    )));
                }
                if self.of_pair(a, b).is_some() {
                    let place = &mut seen[a as usize * p + b as usize];
                    if *place {
                        return Err(Error::config(format!(
                            "operands {a} and {b} stand there twice, expected each pair once"
                        )));
                    }
                    *place = true;
                    found += 1;
                }
            }
        }
        if found < n * n {
            return Err(Error::config(format!(
                "examples hold {found} of all {} pairs, expected each once",
                n * n
            )));
        }
        Ok(())
    }
}

/// The powers 1, base, base^2, … modulo p, if they are all residues but 0.
fn all_powers(base: u32, p: u32) -> Option<Vec<u32>> {
    let mut powers = vec![1 % p];
    loop {
        let next = (u64::from(powers[powers.len() - 1]) * u64::from(base) % u64::from(p)) as u32;
        if next == 1 % p {
            break;
        }
        if next == 0 || powers.len() as u32 >= p {
            return None;
        }
        powers.push(next);
    }
    (powers.len() as u32 == p - 1).then_some(powers)
}
