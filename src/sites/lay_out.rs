//! Captured sites in a plan: buffers and their contents, scaled sample by sample so that no gradient underflows.

use std::collections::BTreeMap;

use super::{Captured, Input, Sites};
use crate::backend::Values;
use crate::model::{Layout, Tensor, TensorGroup};
use crate::plan::{Arena, PlanBuilder, Site, SiteKind, Strided, View};

/// Captured sites as a plan has them.
pub(super) struct LaidOut {
    /// The sites, each with its tensors in `layout`.
    pub sites: Vec<Site>,
    /// Where the gradient of each lies. Of a table only rows that are looked up have one.
    pub layout: Layout,
    /// `[N]`
    pub exponent: View,
    /// What the host fills.
    pub fills: Vec<(View, Values)>,
}

impl Sites {
    /// Makes the buffers of all sites in the current scope.
    pub(super) fn lay_out(&self, builder: &mut PlanBuilder) -> LaidOut {
        let exponents = self.exponents();
        let exponent = builder.buffer(Arena::Words, "exponent", &[self.n]);
        let words = exponents.iter().map(|e| e.cast_unsigned()).collect();
        let scales: Vec<f64> = exponents.iter().map(|e| f64::from(*e).exp2()).collect();
        let mut laid_out = LaidOut {
            sites: Vec::new(),
            layout: Layout {
                tensors: Vec::new(),
                externals: Vec::new(),
                len: 0,
            },
            exponent,
            fills: vec![(exponent, Values::Words(words))],
        };
        let stack = Stack::new(self);
        let ids = stack.lay_out(builder, &mut laid_out);
        for site in &self.sites {
            let site = self.site(builder, &mut laid_out, site, &scales, &stack, ids);
            laid_out.sites.push(site);
        }
        laid_out
    }

    fn site(
        &self,
        builder: &mut PlanBuilder,
        laid_out: &mut LaidOut,
        site: &Captured,
        scales: &[f64],
        stack: &Stack,
        ids: Option<View>,
    ) -> Site {
        let (n, t, d) = (self.n, site.positions, site.d_out);
        let scaled: Vec<f64> = site
            .b
            .chunks_exact(t * d)
            .zip(scales)
            .flat_map(|(rows, scale)| rows.iter().map(move |x| x * scale))
            .collect();
        let table = stack.tables.get(site.name.as_str());
        let (before, positions) = table.map_or((0, t), |table| (table.first, stack.positions));
        let mut by_position = vec![0.0; positions * n * d];
        by_position[before * n * d..][..scaled.len()].copy_from_slice(&positions_outermost(&scaled, n, t));
        let b = fill(
            builder,
            laid_out,
            Arena::Cotangents,
            format!("{}.b", site.name),
            by_position,
        );
        let place = laid_out.layout.tensors.len();
        let (kind, rows) = match &site.input {
            Input::Linear { bias: true, d_in, .. } => (SiteKind::LinearBias, *d_in),
            Input::Linear { d_in, .. } => (SiteKind::Linear, *d_in),
            Input::Embedding { .. } => match table {
                Some(_) => (SiteKind::Embedding, stack.rows),
                None => (SiteKind::Position, t),
            },
            Input::Materialised => (SiteKind::Materialised, 1),
        };
        push(&mut laid_out.layout, site.name.clone(), rows, d);
        let bias = (kind == SiteKind::LinearBias).then(|| {
            push(&mut laid_out.layout, format!("{} bias", site.name), 1, d);
            place + 1
        });
        let (a, d_in) = match &site.input {
            Input::Linear { a, d_in, .. } => {
                let a = positions_outermost(a, n, t);
                let a = fill(builder, laid_out, Arena::Activations, format!("{}.a", site.name), a);
                (Some(rows_of(a, n, *d_in)), *d_in)
            }
            _ => (None, 0),
        };
        Site {
            name: site.name.clone(),
            kind,
            positions,
            d_in,
            d_out: d,
            a,
            b: rows_of(b, n, d),
            ids: table.and(ids).map(|ids| (ids, 0)),
            weight: Some(place),
            bias,
        }
    }

    /// For every sample the power of two by which its cotangents are scaled: the largest comes to lie in [1, 2).
    fn exponents(&self) -> Vec<i32> {
        let mut largest = vec![0.0f64; self.n];
        for site in &self.sites {
            for (largest, rows) in largest.iter_mut().zip(site.b.chunks_exact(site.positions * site.d_out)) {
                *largest = rows.iter().fold(*largest, |m, x| m.max(x.abs()));
            }
        }
        // Within what a power of two can be without leaving the range of f64.
        let exponent = |x: f64| {
            if x > 0.0 {
                -(libm::ilogb(x).clamp(-1000, 1000))
            } else {
                0
            }
        };
        largest.into_iter().map(exponent).collect()
    }
}

/// All tables that are looked up, with one array of ids for all: positions of different tables stand one behind the
/// other, since kernels know one such array. A table's cotangents are zero at the positions of the others.
struct Stack<'a> {
    tables: BTreeMap<&'a str, Table>,
    /// `[positions, N]`
    ids: Vec<u32>,
    positions: usize,
    /// Rows of every table: the largest that one of them needs, since ids of others stand at its idle positions.
    rows: usize,
}

struct Table {
    /// First of its positions.
    first: usize,
}

impl<'a> Stack<'a> {
    fn new(sites: &'a Sites) -> Self {
        let mut stack = Self {
            tables: BTreeMap::new(),
            ids: Vec::new(),
            positions: 0,
            rows: 0,
        };
        let mut seen: Vec<(&[u32], usize)> = Vec::new();
        for site in &sites.sites {
            let Input::Embedding { ids, .. } = &site.input else {
                continue;
            };
            if same_for_all(ids, site.positions) {
                continue;
            }
            let (used, compact) = compact(ids);
            let known = seen.iter().find(|(other, _)| *other == ids.as_slice());
            let first = known.map_or(stack.positions, |(_, first)| *first);
            if known.is_none() {
                seen.push((ids, first));
                stack.ids.extend(positions_outermost(&compact, sites.n, site.positions));
                stack.positions += site.positions;
            }
            stack.rows = stack.rows.max(used);
            stack.tables.insert(&site.name, Table { first });
        }
        stack
    }

    fn lay_out(&self, builder: &mut PlanBuilder, laid_out: &mut LaidOut) -> Option<View> {
        (self.positions > 0).then(|| {
            let view = builder.buffer(Arena::Data, "ids", &[self.ids.len()]);
            laid_out.fills.push((view, Values::Words(self.ids.clone())));
            view
        })
    }
}

/// Whether every sample has the same ids, no two of them equal: a table of positions, each looked up once.
fn same_for_all(ids: &[u32], positions: usize) -> bool {
    let mut first = ids[..positions].to_vec();
    first.sort_unstable();
    first.windows(2).all(|pair| pair[0] != pair[1]) && ids.chunks_exact(positions).all(|row| row == &ids[..positions])
}

/// How many different ids there are, and each as its place among them.
fn compact(ids: &[u32]) -> (usize, Vec<u32>) {
    let mut used = ids.to_vec();
    used.sort_unstable();
    used.dedup();
    let place = |id: &u32| used.binary_search(id).unwrap_or_default() as u32;
    (used.len(), ids.iter().map(place).collect())
}

/// `[N, T, width]` as `[T, N, width]`.
fn positions_outermost<T: Copy>(values: &[T], n: usize, positions: usize) -> Vec<T> {
    let width = values.len() / (n * positions);
    let row = |t: usize, i: usize| &values[(i * positions + t) * width..][..width];
    (0..positions)
        .flat_map(|t| (0..n).flat_map(move |i| row(t, i)))
        .copied()
        .collect()
}

fn fill(builder: &mut PlanBuilder, laid_out: &mut LaidOut, arena: Arena, name: String, values: Vec<f64>) -> View {
    let view = builder.buffer(arena, name, &[values.len()]);
    laid_out.fills.push((view, Values::Numbers(values)));
    view
}

fn rows_of(view: View, n: usize, width: usize) -> Strided {
    Strided {
        view,
        stride_n: width,
        stride_t: n * width,
    }
}

fn push(layout: &mut Layout, name: String, rows: usize, cols: usize) {
    layout.tensors.push(Tensor {
        name,
        rows,
        cols,
        offset: layout.len,
        // Groups decide about weight decay alone, which there is none of.
        group: TensorGroup::Mlp,
    });
    layout.len += rows * cols;
}
