//! Statistics of a batch that need no N x N matrix: norms, coherence, noise.

use crate::plan::{Arena, Kernel, PlanBuilder, Site, View, call};

/// Adds the squared norms `[N]` of all samples' gradients, as scaled.
pub fn norms(builder: &mut PlanBuilder, sites: &[Site], exponent: View) -> View {
    let n = exponent.len();
    let norm = builder.buffer(Arena::WideScratch, "sample_norms", &[n]);
    let table = builder.site_table("sites", sites);
    builder.op(
        "sample_norms",
        vec![call(
            Kernel::SampleNorms,
            &[],
            &[
                View::Whole(Arena::Activations),
                View::Whole(Arena::Cotangents),
                ids(sites, exponent),
                table,
                norm,
            ],
            &[n, sites.len()],
        )],
    );
    norm
}

/// The token ids of a pass's sites; where there are none, `any` stands in, which no site then reads.
pub(super) fn ids(sites: &[Site], any: View) -> View {
    sites.iter().find_map(|site| site.ids).map_or(any, |(ids, _)| ids)
}

/// Adds the columns of a batch from its norms; the squared norm of the mean gradient must be in the scalars.
pub fn statistics(builder: &mut PlanBuilder, norm: View, exponent: View, scalars: View) {
    builder.op(
        "batch_statistics",
        vec![call(
            Kernel::BatchStatistics,
            &[],
            &[norm, exponent, scalars],
            &[exponent.len()],
        )],
    );
}
