//! Statistics of a network that is not ours, from what its layers saw: `cargo run --release --example own_sites`

use gmatrix::sites::{Request, Sites};

fn main() -> gmatrix::Result<()> {
    // A layer y = x W of 64 samples with 8 inputs and 3 outputs: inputs a, and cotangents b of the SUM of the losses.
    let wave = |i: usize, frequency: f64| (i as f64 * frequency).sin();
    let a: Vec<f64> = (0..64 * 8).map(|i| wave(i, 0.7)).collect();
    let b: Vec<f64> = (0..64 * 3).map(|i| wave(i, 1.3)).collect();

    let mut sites = Sites::new(64)?;
    sites.linear("layer", &a, 8, &b, 3)?;
    let found = sites.statistics(&Request::default())?;
    for (name, value) in &found.scalars {
        match value {
            Some(value) => println!("{name:40} {value:.6}"),
            None => println!("{name:40} not defined"),
        }
    }
    Ok(())
}
