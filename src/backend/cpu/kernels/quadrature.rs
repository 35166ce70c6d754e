//! Sums of functions over the eigenvalues that are left beside the leading ones, by stochastic Lanczos quadrature.

use rayon::prelude::*;

use super::ritz::{Leading, Matrix, Signs, norm, project_out};
use super::spectrum::eigenvectors;
use crate::plan::layout::{DEVIATIONS as FUNCTIONS, KRYLOV_BLOCK, PROBE_STEPS};

/// One number for each function.
type Sums = [f64; FUNCTIONS];

/// The functions, of eigenvalues relative to the largest: root, root times its logarithm, eigenvalue times its
/// logarithm, eigenvalue; all 0 below the threshold.
pub struct Functions {
    pub largest: f64,
    pub threshold: f64,
}

impl Functions {
    fn of(&self, value: f64) -> Sums {
        if value < self.threshold || value <= 0.0 {
            return [0.0; FUNCTIONS];
        }
        let x = value / self.largest;
        let root = x.sqrt();
        [root, root * root.ln(), x * x.ln(), x]
    }
}

/// A rank and its standard error.
pub type Estimate = (f64, f64);

/// Effective ranks on singular values and on eigenvalues. `trace` is that of the whole matrix.
pub fn ranks(
    matrix: &Matrix,
    top: &Leading,
    trace: f64,
    functions: &Functions,
    probes: usize,
    signs: &Signs,
) -> [Estimate; 2] {
    let mut totals = [0.0; FUNCTIONS];
    for value in &top.values {
        add(&mut totals, functions.of(*value), 1.0);
    }
    let left = matrix.n - top.values.len();
    if left == 0 {
        return [rank(totals, [0, 1]), rank(totals, [3, 2])].map(|rank| (rank, 0.0));
    }
    let chains = chains(matrix, top, functions.largest, probes, signs);
    let nodes: Vec<_> = chains.iter().map(|chain| chain.nodes(chain.diagonal.len())).collect();
    let lines = lines(&nodes, functions);
    let trace = (trace - top.values.iter().sum::<f64>()) / functions.largest;
    for (total, [constant, slope]) in totals.iter_mut().zip(lines) {
        *total += constant * left as f64 + slope * trace;
    }
    let deviation = |nodes: &[(f64, f64)]| {
        let mut sum = [0.0; FUNCTIONS];
        for (value, weight) in nodes {
            let f = functions.of(*value);
            let x = value / functions.largest;
            for ((sum, f), [constant, slope]) in sum.iter_mut().zip(f).zip(lines) {
                *sum += weight * (f - constant - slope * x);
            }
        }
        sum
    };
    let deviations: Vec<Sums> = nodes.iter().map(|nodes| deviation(nodes)).collect();
    let coarse: Vec<Sums> = chains
        .iter()
        .map(|chain| deviation(&chain.nodes(chain.diagonal.len().div_ceil(2))))
        .collect();
    add(&mut totals, mean(&deviations), 1.0);
    let mut change = mean(&coarse);
    add(&mut change, mean(&deviations), -1.0);
    [[0, 1], [3, 2]].map(|places| {
        let rank = rank(totals, places);
        (rank, rank * error(totals, places, &deviations, change))
    })
}

/// exp(ln S - L/S), S and L the sums of x and of x ln x.
fn rank(totals: Sums, [s, l]: [usize; 2]) -> f64 {
    (totals[s].ln() - totals[l] / totals[s]).exp()
}

/// Standard error of the logarithm of [`rank`], to first order in the deviations.
fn error(totals: Sums, [s, l]: [usize; 2], deviations: &[Sums], change: Sums) -> f64 {
    let along = |d: &Sums| d[s] * (1.0 + totals[l] / totals[s]) / totals[s] - d[l] / totals[s];
    let count = deviations.len() as f64;
    let all: Vec<f64> = deviations.iter().map(along).collect();
    let mean = all.iter().sum::<f64>() / count;
    let variance = all.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (count - 1.0);
    // Where errors fall with the square of the number of steps, a third of the change is what is left.
    (variance / count + (along(&change) / 3.0).powi(2)).sqrt()
}

fn add(sums: &mut Sums, more: Sums, factor: f64) {
    sums.iter_mut().zip(more).for_each(|(sum, x)| *sum += factor * x);
}

fn mean(all: &[Sums]) -> Sums {
    let mut sums = [0.0; FUNCTIONS];
    all.iter().for_each(|x| add(&mut sums, *x, 1.0 / all.len() as f64));
    sums
}

/// Constant and slope of the line nearest to each function, over all nodes.
fn lines(nodes: &[Vec<(f64, f64)>], functions: &Functions) -> [[f64; 2]; FUNCTIONS] {
    let (mut w, mut wx, mut wxx) = (0.0, 0.0, 0.0);
    let (mut wf, mut wxf) = ([0.0; FUNCTIONS], [0.0; FUNCTIONS]);
    for (value, weight) in nodes.iter().flatten() {
        let x = value / functions.largest;
        let f = functions.of(*value);
        w += weight;
        wx += weight * x;
        wxx += weight * x * x;
        add(&mut wf, f, *weight);
        add(&mut wxf, f, weight * x);
    }
    let spread = w * wxx - wx * wx;
    std::array::from_fn(|k| {
        // Any line will do, so a spectrum without width gets a constant.
        let slope = if spread > 1e-12 * w * wxx {
            (w * wxf[k] - wx * wf[k]) / spread
        } else {
            0.0
        };
        [(wf[k] - slope * wx) / w, slope]
    })
}

/// The Lanczos vectors and tridiagonal matrix of one probe.
struct Chain {
    /// Squared length of the probe outside of the leading eigenvectors.
    weight: f64,
    basis: Vec<f64>,
    diagonal: Vec<f64>,
    /// Below the diagonal.
    below: Vec<f64>,
    is_done: bool,
}

impl Chain {
    /// Eigenvalues of the first `size` rows with their share of the weight.
    fn nodes(&self, size: usize) -> Vec<(f64, f64)> {
        let mut matrix = vec![0.0; size * size];
        for k in 0..size {
            matrix[k * size + k] = self.diagonal[k];
            if k + 1 < size {
                matrix[k * size + k + 1] = self.below[k];
                matrix[(k + 1) * size + k] = self.below[k];
            }
        }
        let (values, vectors) = eigenvectors(&matrix, size);
        let first = vectors[..size].iter();
        values.into_iter().zip(first.map(|t| self.weight * t * t)).collect()
    }

    /// One step: from the newest vector and its image to the next vector, which takes the image's place.
    fn step(&mut self, vector: &[f64], image: &mut [f64], negligible: f64) {
        if self.is_done {
            image.fill(0.0);
            return;
        }
        self.basis.extend_from_slice(vector);
        self.diagonal.push(vector.iter().zip(&*image).map(|(x, y)| x * y).sum());
        project_out(image, &self.basis, vector.len());
        project_out(image, &self.basis, vector.len());
        let length = norm(image);
        self.below.push(length);
        if length <= negligible {
            self.is_done = true;
            image.fill(0.0);
        } else {
            image.iter_mut().for_each(|x| *x /= length);
        }
    }
}

fn chains(matrix: &Matrix, top: &Leading, largest: f64, probes: usize, signs: &Signs) -> Vec<Chain> {
    let n = matrix.n;
    let mut vectors: Vec<f64> = (0..probes).flat_map(|k| signs.row(KRYLOV_BLOCK + k)).collect();
    project_out(&mut vectors, &top.vectors, n);
    project_out(&mut vectors, &top.vectors, n);
    let mut chains = Vec::with_capacity(probes);
    for vector in vectors.chunks_exact_mut(n) {
        let length = norm(vector);
        vector.iter_mut().for_each(|x| *x /= length);
        chains.push(Chain {
            weight: length * length,
            basis: Vec::new(),
            diagonal: Vec::new(),
            below: Vec::new(),
            is_done: false,
        });
    }
    for _ in 0..PROBE_STEPS.min(n - top.values.len()) {
        let mut images = matrix.products(&vectors);
        project_out(&mut images, &top.vectors, n);
        chains
            .par_iter_mut()
            .zip(vectors.par_chunks_exact(n))
            .zip(images.par_chunks_exact_mut(n))
            .for_each(|((chain, vector), image)| chain.step(vector, image, 1e-14 * largest));
        if chains.iter().all(|chain| chain.is_done) {
            break;
        }
        // Rounding of large eigenvalues would grow again.
        project_out(&mut images, &top.vectors, n);
        vectors = images;
    }
    chains
}
