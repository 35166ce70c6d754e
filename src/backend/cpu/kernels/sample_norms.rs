//! sample_norms — squared norm of every sample's gradient over all sites, as scaled (true value: times 2^(-2 exponent)).
//!
//! in 0 activations   in 1 cotangents   in 2 ids [T, N]   in 3 sites [sites, 12]   out 4 norm [N]   params n, sites
//! order: sites, then positions (t, s) with t <= s, ascending; dot products in the plan's precision, their sum in f64

use rayon::prelude::*;

use super::support::{SAMPLES, SiteEntry, dot, vectorised};
use crate::backend::cpu::{Args, Scalar};
use crate::plan::SiteKind;

pub fn run<S: Scalar>(args: &Args<S>) {
    let [n, _] = args.params();
    let (activations, cotangents) = (args.real("activations"), args.real("cotangents"));
    let ids = args.word("ids");
    let sites = SiteEntry::read(args.word("sites"));
    args.wide_mut("norm").par_chunks_mut(SAMPLES).enumerate().for_each(|(block, norms)| {
        norms.fill(0.0);
        for site in &sites {
            vectorised(
                #[inline(always)]
                || {
                    for (place, norm) in norms.iter_mut().enumerate() {
                        *norm += site_norm(site, activations, cotangents, ids, n, block * SAMPLES + place);
                    }
                },
            );
        }
    });
}

#[inline(always)]
fn site_norm<S: Scalar>(
    site: &SiteEntry,
    activations: &[S],
    cotangents: &[S],
    ids: &[u32],
    n: usize,
    sample: usize,
) -> f64 {
    let bias = site.bias::<S>();
    let mut norm = 0.0;
    for t in 0..site.positions {
        for s in t..site.positions {
            let weight = match site.kind {
                SiteKind::Linear | SiteKind::LinearBias => {
                    dot(site.a_row(activations, sample, t), site.a_row(activations, sample, s)) + bias
                }
                SiteKind::Embedding => {
                    let id = |place: usize| ids[place * n + sample] as usize + place * site.id_step;
                    if id(t) != id(s) {
                        continue;
                    }
                    S::ONE
                }
                SiteKind::Position | SiteKind::Materialised => {
                    if t != s {
                        continue;
                    }
                    S::ONE
                }
            };
            let product = dot(site.b_row(cotangents, sample, t), site.b_row(cotangents, sample, s));
            let twice = if t == s { 1.0 } else { 2.0 };
            norm += twice * (weight * product).to_f64();
        }
    }
    norm
}
