//! The effective rank of a list of numbers (Roy & Vetterli 2007).

/// exp(-sum q ln q), q = x / sum x.
pub fn entropy_rank(x: impl Iterator<Item = f64> + Clone) -> f64 {
    let sum: f64 = x.clone().sum();
    let entropy: f64 = x.map(|v| v / sum).filter(|q| *q > 0.0).map(|q| -q * q.ln()).sum();
    entropy.exp()
}
