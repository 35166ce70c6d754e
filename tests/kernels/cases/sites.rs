//! Sets of sites of every kind and layout, and the per-sample gradients they stand for.

use gmatrix::backend::Values;
use gmatrix::plan::{Access, Arena, Kernel, Site, SiteKind, Strided, View, call};

use crate::case::{Bound, Buf, Case, Data, Oracle};
use crate::numbers::{Real, sum};

/// How rows (n, t) lie in memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rows {
    /// `[T, N, d]`
    PositionsOutermost,
    /// `[N, T, d]`, with three numbers between samples that belong to nobody.
    SamplesOutermost,
    /// `[N, d]`: all positions share a row.
    Shared,
}

/// A site of a case.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    pub kind: SiteKind,
    pub t: usize,
    pub d_in: usize,
    pub d_out: usize,
    pub a: Rows,
    pub b: Rows,
    /// What an id grows by per position.
    pub step: usize,
    /// Takes its `a` from the site before it.
    pub shares_a: bool,
}

const TOKENS: usize = 5;

impl Rows {
    /// Strides over samples and positions, and elements in all.
    pub fn layout(self, n: usize, t: usize, d: usize) -> (usize, usize, usize) {
        match self {
            Self::PositionsOutermost => (d, n * d, n * t * d),
            Self::SamplesOutermost => (t * d + 3, d, n * (t * d + 3)),
            Self::Shared => (d, 0, n * d),
        }
    }
}

fn linear(kind: SiteKind, t: usize, [d_in, d_out]: [usize; 2]) -> Spec {
    let rows = Rows::PositionsOutermost;
    Spec {
        kind,
        t,
        d_in,
        d_out,
        a: rows,
        b: rows,
        step: 0,
        shares_a: false,
    }
}

fn table(kind: SiteKind, t: usize, d_out: usize, b: Rows, step: usize) -> Spec {
    Spec {
        b,
        step,
        ..linear(kind, t, [0, d_out])
    }
}

/// Sets of sites by name.
pub fn sets() -> Vec<(String, Vec<Spec>)> {
    use SiteKind::{Embedding, Linear, LinearBias, Materialised, Position};
    let outermost = Rows::PositionsOutermost;
    let mut sets = vec![
        ("one linear".to_owned(), vec![linear(Linear, 1, [5, 7])]),
        (
            "materialised".to_owned(),
            vec![table(Materialised, 1, 31, outermost, 0)],
        ),
        (
            "one-hot".to_owned(),
            vec![
                table(Embedding, 2, 7, Rows::Shared, TOKENS),
                table(Position, 1, 7, Rows::Shared, 0),
            ],
        ),
        // Bare ids: two positions of a sample may look up the same row with the same cotangent.
        (
            "shared".to_owned(),
            vec![
                table(Embedding, 3, 5, Rows::Shared, 0),
                Spec {
                    a: Rows::Shared,
                    ..linear(LinearBias, 3, [3, 5])
                },
                Spec {
                    b: Rows::Shared,
                    ..linear(Linear, 2, [3, 5])
                },
            ],
        ),
    ];
    for t in 1..=4 {
        let with_bias = linear(LinearBias, t, [5, 3]);
        sets.push((
            format!("all kinds, T={t}"),
            vec![
                linear(Linear, t, [3, 4]),
                Spec {
                    shares_a: true,
                    ..linear(LinearBias, t, [3, 5])
                },
                Spec {
                    a: Rows::SamplesOutermost,
                    b: Rows::SamplesOutermost,
                    ..with_bias
                },
                table(Embedding, t, 5, outermost, 0),
                table(Embedding, t, 3, Rows::SamplesOutermost, TOKENS),
                table(Position, t, 3, outermost, 0),
                table(Materialised, 1, 9, outermost, 0),
            ],
        ));
    }
    sets
}

impl Spec {
    /// Rows of the gradient.
    fn rows(&self) -> usize {
        match self.kind {
            SiteKind::Linear => self.d_in,
            SiteKind::LinearBias => self.d_in + 1,
            SiteKind::Embedding => TOKENS + (self.t - 1) * self.step,
            SiteKind::Position => self.t,
            SiteKind::Materialised => 1,
        }
    }

    /// The gradient of one sample, formed.
    fn gradient<T: Real>(&self, a: &[T], b: &[T], ids: &[u32], n: usize, sample: usize) -> Vec<T> {
        let Self { t, d_in, d_out, .. } = *self;
        let (a_n, a_t, _) = self.a.layout(n, t, d_in);
        let (b_n, b_t, _) = self.b.layout(n, t, d_out);
        let b = |place: usize| &b[sample * b_n + place * b_t..][..d_out];
        let rows = self.rows();
        let mut gradient = vec![T::new(0.0); rows * d_out];
        for place in 0..t {
            // What the gradient's rows are multiplied with: the input, a unit vector, or just 1.
            for row in 0..rows {
                let one = |yes: bool| T::new(f64::from(u8::from(yes)));
                let input = match self.kind {
                    SiteKind::Linear | SiteKind::LinearBias if row < d_in => a[sample * a_n + place * a_t + row],
                    SiteKind::Linear | SiteKind::LinearBias | SiteKind::Materialised => one(true),
                    SiteKind::Embedding => one(ids[place * n + sample] as usize + place * self.step == row),
                    SiteKind::Position => one(row == place),
                };
                for (k, b) in b(place).iter().enumerate() {
                    gradient[row * d_out + k] = gradient[row * d_out + k] + input * *b;
                }
            }
        }
        gradient
    }
}

/// First parameter of the weight and of the bias of every site, and parameters in all, as [`gradients`] lays them out.
pub fn offsets(specs: &[Spec]) -> (Vec<u32>, usize) {
    let mut places = Vec::new();
    let mut parameters = 0;
    for spec in specs {
        places.extend([parameters, parameters + spec.d_in * spec.d_out].map(|place| place as u32));
        parameters += spec.rows() * spec.d_out;
    }
    (places, parameters)
}

/// Gradients of all samples over all sites `[N, P]`.
pub fn gradients<T: Real>(x: &Data, specs: &[Spec]) -> Vec<Vec<T>> {
    let n = x.params::<2>()[0];
    let ids = x.words("ids");
    let mut rows = vec![Vec::new(); n];
    let mut a = Vec::new();
    for (place, spec) in specs.iter().enumerate() {
        if spec.d_in > 0 && !spec.shares_a {
            a = x.real::<T>(&format!("a{place}"));
        }
        let b = x.real::<T>(&format!("b{place}"));
        for (sample, row) in rows.iter_mut().enumerate() {
            row.extend(spec.gradient(&a, &b, ids, n, sample));
        }
    }
    rows
}

pub fn product<T: Real>(a: &[T], b: &[T]) -> T {
    sum(a.iter().zip(b).map(|(x, y)| *x * *y))
}

/// A case of a kernel that walks over sites. `extra` are the bindings behind the site table.
pub fn case(kernel: Kernel, n: usize, name: &str, specs: Vec<Spec>, extra: Vec<Buf>, oracle: impl Oracle) -> Case {
    let mut buffers = vec![Buf {
        name: "ids".into(),
        arena: Arena::Data,
        len: 4 * n,
        access: Access::Read,
        fill: Box::new(move |rng| Values::Words(rng.words(4 * n, TOKENS))),
    }];
    let bound = extra.len();
    buffers.extend(extra);
    for (place, spec) in specs.iter().enumerate() {
        let mut matrix = |name: String, arena: Arena, len: usize| {
            buffers.push(Buf {
                name,
                arena,
                len,
                access: Access::Read,
                fill: Box::new(move |rng| Values::Numbers(rng.normals(len))),
            });
        };
        if spec.d_in > 0 && !spec.shares_a {
            matrix(
                format!("a{place}"),
                Arena::Activations,
                spec.a.layout(n, spec.t, spec.d_in).2,
            );
        }
        matrix(
            format!("b{place}"),
            Arena::Cotangents,
            spec.b.layout(n, spec.t, spec.d_out).2,
        );
    }
    let sites = specs.len();
    Case {
        kernel,
        name: format!("{name}, n={n}"),
        constants: Vec::new(),
        params: vec![n, sites],
        buffers,
        oracle: Box::new(oracle),
        bound: Bound { floor: 4.0, reason: "" },
        wide_as_real: true,
        bind: Some(Box::new(move |builder, views| {
            let ids = views[0];
            let mut rest = views[1 + bound..].iter().copied();
            let mut a = None;
            let mut sites = Vec::new();
            for spec in &specs {
                let strided = |view: View, rows: Rows, d: usize| {
                    let (stride_n, stride_t, _) = rows.layout(n, spec.t, d);
                    Strided {
                        view,
                        stride_n,
                        stride_t,
                    }
                };
                if spec.d_in > 0 && !spec.shares_a {
                    a = rest.next().map(|view| strided(view, spec.a, spec.d_in));
                }
                let b = rest.next().expect("a buffer for every site");
                sites.push(Site {
                    name: "site".into(),
                    kind: spec.kind,
                    positions: spec.t,
                    d_in: spec.d_in,
                    d_out: spec.d_out,
                    a: a.filter(|_| spec.d_in > 0),
                    b: strided(b, spec.b, spec.d_out),
                    ids: (spec.kind == SiteKind::Embedding).then_some((ids, spec.step)),
                    weight: None,
                    bias: None,
                });
            }
            let table = builder.site_table("sites", &sites);
            let mut bindings = vec![
                View::Whole(Arena::Activations),
                View::Whole(Arena::Cotangents),
                ids,
                table,
            ];
            bindings.extend(&views[1..=bound]);
            call(kernel, &[], &bindings, &[n, sites.len()])
        })),
    }
}
