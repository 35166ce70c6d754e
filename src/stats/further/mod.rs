//! Gram matrices beside that of the loss's gradients, and their ranks.
//!
//! Each is had as K is, by tiles over sites: of other cotangents at the same sites, of some of the sites, or of what the
//! sites captured. `tr K`, spectrum and null mean the same for all of them.

mod parts;
mod sites;

pub use parts::{error_names, names};

use super::columns;
use super::gram::{self, Output};
use crate::config::{FurtherGram, LossKind};
use crate::loss::{Cotangent, losses};
use crate::model::{Batch, Forward, Network};
use crate::plan::layout::{KRYLOV, PER_FORM, lanczos_room};
use crate::plan::{Arena, Kernel, PlanBuilder, Site, SiteKind, View, call};
use parts::{Part, parts};
use sites::{materialised, sites_of};

/// The pass over the Gram subset, of which the matrices are made.
#[derive(Debug, Clone, Copy)]
pub struct Pass<'a> {
    /// The network.
    pub net: &'a Network,
    /// Its forward pass.
    pub forward: &'a Forward,
    /// Its sites with the loss's cotangents.
    pub sites: &'a [Site],
    /// The same as the Gram matrix takes them.
    pub planned: &'a [Site],
    /// Samples of two splits, with how many of them are of the first; else those of the pass are the first.
    pub splits: Option<(Batch, usize)>,
    /// Which loss.
    pub loss: LossKind,
    /// Moments and scalars of the optimiser, where there is one.
    pub optimizer: Option<[View; 2]>,
    /// Exponents of the loss's cotangents.
    pub exponent: View,
    /// K as scaled, where it is stored.
    pub gram: Option<View>,
    /// How spectra are had; errors of estimates go where it says, beginning with those of the three forms.
    pub output: Output,
}

/// Adds the matrices and their ranks, which go into `out`, as many numbers as [`names`] has names.
pub fn add(builder: &mut PlanBuilder, grams: &[FurtherGram], pass: &Pass, out: View) {
    let parts = parts(grams, &pass.net.shape);
    if parts.is_empty() {
        return;
    }
    let further = Further::new(builder, *pass);
    let (mut place, mut ranked) = (0, 3);
    for part in &parts {
        let width = part.suffixes().len();
        let own = out.part(place, width);
        place += width;
        if *part == Part::Block {
            further.blocks(builder, own);
            continue;
        }
        let errors = match pass.output {
            Output::Lanczos { errors, .. } => {
                let width = columns::ERRORS.len();
                Some(errors.part(ranked * width, width))
            }
            Output::Streamed | Output::Spectra => None,
        };
        ranked += 1;
        further.add(builder, part, own, errors);
    }
}

/// Memory that the matrices share, one after the other.
struct Further<'a> {
    pass: Pass<'a>,
    n: usize,
    gram: View,
    form: View,
    sums: View,
    eigenvalues: View,
    /// Where ranks are estimated, the room that needs.
    room: Option<View>,
    /// Exponents of what has no scale.
    unscaled: View,
}

impl<'a> Further<'a> {
    fn new(builder: &mut PlanBuilder, pass: Pass<'a>) -> Self {
        let n = pass.exponent.len();
        let room = match pass.output {
            Output::Lanczos { probes, .. } => {
                Some(builder.buffer(Arena::WideScratch, "further.room", &[lanczos_room(n, probes)]))
            }
            Output::Streamed | Output::Spectra => None,
        };
        Self {
            room,
            pass,
            n,
            gram: builder.buffer(Arena::Scratch, "further.gram", &[n, n]),
            form: builder.buffer(Arena::WideScratch, "further.form", &[n, n]),
            sums: builder.buffer(Arena::WideScratch, "further.sums", &[PER_FORM + n]),
            eigenvalues: builder.buffer(Arena::WideScratch, "further.eigenvalues", &[n]),
            unscaled: builder.table("further.unscaled", vec![0; n]),
        }
    }

    fn add(&self, builder: &mut PlanBuilder, part: &Part, out: View, errors: Option<View>) {
        let label = part.prefix();
        let to = (out, errors);
        let Pass { net, forward, .. } = self.pass;
        let dimensions = net.layout.len;
        let cotangents = Arena::Cotangents;
        match part {
            Part::CentredCosine => {
                let gram = self.stored(builder, &label);
                self.ranks(builder, &label, (gram, self.pass.exponent), true, dimensions, to);
            }
            Part::UnitResidual => {
                let cotangent = Cotangent::new(builder, self.n, net.shape.classes());
                builder.op(
                    label.clone(),
                    vec![call(
                        Kernel::Margin,
                        &[],
                        &[forward.batch.labels, cotangent.logits, cotangent.exponent],
                        &[self.n, net.shape.classes()],
                    )],
                );
                let sites = net.backward(builder, forward, cotangent.logits);
                let planned = gram::plan_sites(builder, &sites, self.n);
                self.tiles(builder, &label, &planned, cotangents);
                self.ranks(builder, &label, (self.gram, cotangent.exponent), false, dimensions, to);
            }
            Part::Preconditioned => {
                let [moments, scalars] = self.pass.optimizer.expect("refused where there are no moments");
                self.metric_tiles(builder, &label, moments, scalars);
                self.ranks(builder, &label, (self.gram, self.pass.exponent), false, dimensions, to);
            }
            Part::Group(group) => {
                let sites = sites_of(self.pass.planned, &net.layout, *group);
                let tensors = net.layout.tensors.iter().filter(|tensor| tensor.group == *group);
                let dimensions = tensors.map(crate::model::Tensor::len).sum();
                self.tiles(builder, &label, &sites, cotangents);
                self.ranks(builder, &label, (self.gram, self.pass.exponent), false, dimensions, to);
            }
            Part::Activation(name) => {
                let site = self.pass.sites.iter().find(|site| site.name == *name);
                let site = site.expect("a site for every matrix");
                let rows = Site {
                    kind: SiteKind::Position,
                    d_in: 0,
                    d_out: site.d_in,
                    a: None,
                    b: site.a.expect("a matrix has an input"),
                    ..site.clone()
                };
                let dimensions = site.positions * site.d_in;
                self.tiles(builder, &label, &[rows], Arena::Activations);
                self.ranks(builder, &label, (self.gram, self.unscaled), false, dimensions, to);
            }
            Part::Function => {
                let classes = net.shape.classes();
                // Tiles take rows from the arenas of passes; the logits lie elsewhere.
                let logits = builder.buffer(cotangents, "further.logits", &[self.n, classes]);
                builder.op(
                    label.clone(),
                    vec![call(Kernel::Copy, &[], &[forward.logits, logits], &[self.n * classes])],
                );
                let rows = materialised("logits", logits, (self.n, 0), classes);
                self.tiles(builder, &label, &[rows], cotangents);
                self.ranks(builder, &label, (self.gram, self.unscaled), false, classes, to);
            }
            Part::Block => unreachable!("blocks have no ranks"),
        }
    }

    /// Adds the Gram matrix of the loss's gradients in Adam's metric.
    fn metric_tiles(&self, builder: &mut PlanBuilder, label: &str, moments: View, scalars: View) {
        let Pass {
            net, sites, exponent, ..
        } = self.pass;
        let metric = builder.buffer(Arena::Scratch, "further.metric", &[net.layout.len]);
        let offset = |tensor: Option<usize>| tensor.map_or(0, |place| net.layout.tensors[place].offset as u32);
        let offsets = sites
            .iter()
            .flat_map(|site| [offset(site.weight), offset(site.bias)])
            .collect();
        let offsets = builder.table(format!("{label}.offsets"), offsets);
        let table = builder.site_table(format!("{label}.sites"), sites);
        builder.op(
            format!("{label}.gram"),
            vec![
                call(Kernel::AdamMetric, &[], &[moments, scalars, metric], &[net.layout.len]),
                call(
                    Kernel::GramMetric,
                    &[],
                    &[
                        View::Whole(Arena::Activations),
                        View::Whole(Arena::Cotangents),
                        super::per_sample::ids(sites, exponent),
                        table,
                        offsets,
                        metric,
                        self.gram,
                    ],
                    &[self.n, sites.len()],
                ),
            ],
        );
    }

    /// Adds the agreement of pairs of gradients, of a pass of its own where there are two splits.
    fn blocks(&self, builder: &mut PlanBuilder, out: View) {
        let Pass { net, forward, .. } = self.pass;
        let label = "block";
        let Some((batch, first)) = self.pass.splits else {
            let gram = self.stored(builder, label);
            self.agreement(builder, gram, forward.batch, self.n, out);
            return;
        };
        builder.scope();
        let forward = net.forward(builder, batch);
        let loss = builder.buffer(Arena::Scratch, "loss", &[batch.n]);
        let cotangent = Cotangent::new(builder, batch.n, net.shape.classes());
        losses(builder, self.pass.loss, &forward, loss, Some(cotangent));
        let sites = net.backward(builder, &forward, cotangent.logits);
        let sites = gram::plan_sites(builder, &sites, batch.n);
        let gram = builder.buffer(Arena::Scratch, "block.gram", &[batch.n, batch.n]);
        tiles(builder, label, &sites, Arena::Cotangents, (gram, cotangent.exponent));
        self.agreement(builder, gram, batch, first, out);
    }

    fn agreement(&self, builder: &mut PlanBuilder, gram: View, batch: Batch, first: usize, out: View) {
        builder.op(
            "block.agreement",
            vec![call(
                Kernel::BlockStatistics,
                &[],
                &[gram, batch.labels, out],
                &[batch.n, first],
            )],
        );
    }

    /// K of the loss's gradients, formed again where it is not stored.
    fn stored(&self, builder: &mut PlanBuilder, label: &str) -> View {
        self.pass.gram.unwrap_or_else(|| {
            self.tiles(builder, label, self.pass.planned, Arena::Cotangents);
            self.gram
        })
    }

    /// Adds the Gram matrix of sites whose `b` lie in this arena.
    fn tiles(&self, builder: &mut PlanBuilder, label: &str, sites: &[Site], arena: Arena) {
        tiles(builder, label, sites, arena, (self.gram, self.pass.exponent));
    }

    /// Adds the form of a matrix with its spectrum and ranks.
    fn ranks(
        &self,
        builder: &mut PlanBuilder,
        label: &str,
        (gram, exponent): (View, View),
        centred: bool,
        dimensions: usize,
        (out, errors): (View, Option<View>),
    ) {
        let mut calls = vec![call(
            Kernel::GramForm,
            &[("FORM", u32::from(centred))],
            &[gram, exponent, self.form, self.sums],
            &[self.n],
        )];
        let mut bindings = vec![self.sums];
        let solved = self.pass.output == Output::Spectra;
        if solved {
            calls.push(call(
                Kernel::Spectrum,
                &[],
                &[self.form, self.eigenvalues],
                &[1, self.n],
            ));
            bindings.push(self.eigenvalues);
        }
        bindings.push(out);
        calls.push(call(
            Kernel::FormRanks,
            &[("SPECTRUM", u32::from(solved)), ("CENTRED", u32::from(centred))],
            &bindings,
            &[self.n, dimensions],
        ));
        if let (Output::Lanczos { probes, .. }, Some(errors), Some(room)) = (self.pass.output, errors, self.room) {
            calls.push(call(
                Kernel::Lanczos,
                &[],
                &[self.form, self.sums.part(0, PER_FORM), out, errors, room],
                &[self.n, probes, KRYLOV],
            ));
        }
        builder.op(format!("{label}.ranks"), calls);
    }
}

/// Adds the Gram matrix `[N, N]` of sites whose `b` lie in this arena; `exponent` has N words.
fn tiles(builder: &mut PlanBuilder, label: &str, sites: &[Site], arena: Arena, (gram, exponent): (View, View)) {
    let table = builder.site_table(format!("{label}.sites"), sites);
    builder.op(
        format!("{label}.gram"),
        vec![call(
            Kernel::GramTile,
            &[],
            &[
                View::Whole(Arena::Activations),
                View::Whole(arena),
                super::per_sample::ids(sites, exponent),
                table,
                gram,
            ],
            &[exponent.len(), sites.len()],
        )],
    );
}
