//! The Gram matrix of per-sample gradients, its forms, spectra and ranks.

use super::{columns, per_sample};
use crate::plan::{Arena, GRAM_TILE, Kernel, PlanBuilder, Site, SiteKind, Strided, View, call};
use crate::plan::{control, layout};

/// What is made of the Gram matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Scalar statistics alone, from tiles of which none is stored.
    Streamed,
    /// The matrix and the exact spectra of its forms.
    Spectra,
    /// The matrix, and ranks estimated by Lanczos.
    Lanczos {
        /// Random probes of what is left beside the leading eigenvalues.
        probes: usize,
        /// Where standard errors go, [`columns::ERRORS`] numbers for each form.
        errors: View,
    },
}

/// Most samples whose spectra are solved exactly.
pub const EXACT_LIMIT: usize = 1024;

/// What later statistics may take from the Gram matrix.
#[derive(Debug, Clone)]
pub struct Formed {
    /// K `[N, N]` as scaled, where it is stored.
    pub gram: Option<View>,
    /// The sites it is made of, each structured or materialised.
    pub sites: Vec<Site>,
}

/// Adds the statistics of the samples' gradients to the scalars.
pub fn add(
    builder: &mut PlanBuilder,
    sites: &[Site],
    exponent: View,
    parameters: usize,
    scalars: View,
    output: Output,
) -> Formed {
    let n = exponent.len();
    let norm = (output == Output::Streamed).then(|| per_sample::norms(builder, sites, exponent));
    let planned = plan_sites(builder, sites, n);
    let table = builder.site_table("gram.sites", &planned);
    let sources = [
        View::Whole(Arena::Activations),
        View::Whole(Arena::Cotangents),
        per_sample::ids(sites, exponent),
        table,
    ];
    let sums = builder.buffer(Arena::WideScratch, "gram.sums", &[layout::HEAD + 3 * n]);
    let params = [n, planned.len()];
    let Some(norm) = norm else {
        let gram = builder.buffer(Arena::Scratch, "gram", &[n, n]);
        let forms = builder.buffer(Arena::WideScratch, "gram.forms", &[3, n, n]);
        let mut bindings = sources.to_vec();
        bindings.push(gram);
        builder.op("gram", vec![call(Kernel::GramTile, &[], &bindings, &params)]);
        builder.op(
            "gram.forms",
            vec![call(Kernel::GramForms, &[], &[gram, exponent, forms, sums], &[n])],
        );
        if let Output::Lanczos { probes, errors } = output {
            estimate(builder, (forms, sums), scalars, probes, errors, [n, parameters]);
        } else {
            let eigenvalues = builder.buffer(Arena::WideScratch, "gram.eigenvalues", &[3, n]);
            builder.op(
                "gram.spectrum",
                vec![call(Kernel::Spectrum, &[], &[forms, eigenvalues], &[3, n])],
            );
            builder.op(
                "gram.ranks",
                vec![call(
                    Kernel::RankStatistics,
                    &[("SPECTRUM", 1)],
                    &[sums, eigenvalues, scalars],
                    &[n, parameters],
                )],
            );
        }
        return Formed {
            gram: Some(gram),
            sites: planned,
        };
    };
    let side = n.div_ceil(GRAM_TILE);
    let tiles = builder.buffer(Arena::WideScratch, "gram.tiles", &[side * (side + 1) / 2, layout::TILE]);
    let mut bindings = sources.to_vec();
    bindings.extend([norm, exponent, tiles]);
    builder.op("gram", vec![call(Kernel::GramStream, &[], &bindings, &params)]);
    builder.op(
        "gram.sums",
        vec![call(Kernel::GramSums, &[], &[tiles, norm, exponent, sums], &[n])],
    );
    builder.op(
        "gram.ranks",
        vec![call(Kernel::RankStatistics, &[], &[sums, scalars], &[n, parameters])],
    );
    Formed {
        gram: None,
        sites: planned,
    }
}

/// Adds the ranks of the three forms, those that need a spectrum by estimates.
fn estimate(
    builder: &mut PlanBuilder,
    (forms, sums): (View, View),
    scalars: View,
    probes: usize,
    errors: View,
    [n, parameters]: [usize; 2],
) {
    builder.op(
        "gram.ranks",
        vec![call(Kernel::RankStatistics, &[], &[sums, scalars], &[n, parameters])],
    );
    let room = builder.buffer(Arena::WideScratch, "gram.room", &[layout::lanczos_room(n, probes)]);
    for (form, first) in [columns::RAW, columns::COSINE, columns::CENTRED]
        .into_iter()
        .enumerate()
    {
        let bindings = [
            forms.part(form * n * n, n * n),
            sums.part(form * layout::PER_FORM, layout::PER_FORM),
            scalars.part(control::RATES + first, columns::FORM),
            errors.part(form * columns::ERRORS.len(), columns::ERRORS.len()),
            room,
        ];
        builder.op(
            "gram.lanczos",
            vec![call(Kernel::Lanczos, &[], &bindings, &[n, probes, layout::KRYLOV])],
        );
    }
}

/// The sites as the Gram matrix takes them.
pub(super) fn plan_sites(builder: &mut PlanBuilder, sites: &[Site], n: usize) -> Vec<Site> {
    sites.iter().map(|site| plan_site(builder, site, n)).collect()
}

/// The site as the Gram matrix takes it: structured, or materialised where that costs fewer multiply-adds per pair.
///
/// Structured, a pair costs T^2 (d_in + d_out); materialised it costs d_in d_out, and making the gradients costs
/// N T d_in d_out in all, that is 2 T d_in d_out / N for each of the N^2/2 pairs.
fn plan_site(builder: &mut PlanBuilder, site: &Site, n: usize) -> Site {
    let Some(a) = site.a else {
        return site.clone();
    };
    let (t, d_in, d_out) = (site.positions, site.d_in, site.d_out);
    let bias = site.kind == SiteKind::LinearBias;
    let size = (d_in + usize::from(bias)) * d_out;
    let structured = t * t * (d_in + d_out);
    let materialised = size + (2 * t * size).div_ceil(n.max(1));
    let pick = materialised < structured;
    builder.choose(
        format!("gram site {}", site.name),
        format!(
            "{} ({structured} structured, {materialised} materialised multiply-adds a pair, T = {t})",
            if pick { "materialised" } else { "structured" }
        ),
    );
    if !pick {
        return site.clone();
    }
    let gradients = builder.buffer(Arena::Cotangents, format!("{}.sample_gradients", site.name), &[n, size]);
    builder.op(
        format!("{}.materialise", site.name),
        vec![materialise(site, a, gradients, n)],
    );
    Site {
        kind: SiteKind::Materialised,
        positions: 1,
        d_in: 0,
        d_out: size,
        a: None,
        b: Strided {
            view: gradients,
            stride_n: size,
            stride_t: 0,
        },
        ..site.clone()
    }
}

/// Per-sample gradients of a linear site `[N, d_in (+ 1), d_out]`, as scaled.
pub fn materialise(site: &Site, a: Strided, out: View, n: usize) -> crate::plan::KernelCall {
    let b = site.b;
    call(
        Kernel::Materialise,
        &[("BIAS", u32::from(site.kind == SiteKind::LinearBias))],
        &[a.view, b.view, out],
        &[
            n,
            site.positions,
            site.d_in,
            site.d_out,
            a.stride_n,
            a.stride_t,
            b.stride_n,
            b.stride_t,
        ],
    )
}
